#!/bin/sh
# Open a pull request with what has changed here, where this branch has had none yet. Owned by the template.
#
#   GH_TOKEN=... sh .tools/propose.sh BRANCH TITLE FILE      the file holds the text
set -eu
branch=$1 title=$2 text=$3
if [ -z "${GH_TOKEN:-}" ]; then
    echo "::warning::$title is out. With the secret TEMPLATE_UPDATE_TOKEN it comes as a pull request."
    exit 0
fi
# One that was closed is no longer wanted, and one that is open belongs to whoever works on it.
known=$(gh pr list --state all --head "$branch" --json url --jq '.[].url')
if [ -n "$known" ]; then
    echo "$title has its pull request: $known"
    exit 0
fi
git switch --quiet --create "$branch"
git add --all
git -c user.name=template -c user.email=template@localhost commit --quiet --message "$title"
gh auth setup-git
git push --quiet --force origin HEAD # what is there is of a run that failed: no pull request has it
gh pr create --title "$title" --body-file "$text"
