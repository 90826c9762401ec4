# Red as well where git cannot read the repository: then nothing would be found.
git rev-parse --verify --quiet HEAD >/dev/null
if git grep --line-number --extended-regexp '^(<<<<<<<|>>>>>>>) ' || git ls-files '*.rej' | grep .; then
  echo "An update left conflicts: edit these lines, delete the .rej files, then commit." >&2
  exit 1
fi
