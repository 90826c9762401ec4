# shellcheck shell=bash
# Shared by with-engine (outside the namespaces) and inside.
# shellcheck disable=SC2034 # used there

debian_keyring=/usr/share/keyrings/debian-archive-keyring.gpg
# shellcheck disable=SC2034
ca_bundle=/etc/ssl/certs/ca-certificates.crt

short_hash() { sha256sum | cut -c1-12; }

say() { printf 'with-engine [%3d s] %s\n' "$SECONDS" "$*" >&2; }

fail() { # STATUS MESSAGE
  printf 'with-engine: %s\n' "$2" >&2
  exit "$1"
}

unavailable() { fail 75 "cannot run here, it needs $1"; }

pyenv_root() {
  if [[ -n ${PYENV_ROOT:-} ]]; then echo "$PYENV_ROOT"; else pyenv root 2>/dev/null || echo "$HOME/.pyenv"; fi
}

# The machine's own Debian source, whatever its address. Security archives hold other suites.
debian_mirror() {
  # shellcheck disable=SC2016 # $(REPO_URI) is apt's, not the shell's
  apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Component: main' | awk '!/security/ && !seen++'
}

trap_signals() { # for a pass_on SIGNAL of the caller's
  trap 'pass_on INT' INT
  trap 'pass_on TERM' TERM
  trap 'pass_on HUP' HUP
}

# `wait` returns early when a trapped signal arrives: wait on until the process is gone.
wait_for() { # PID
  local status
  while true; do
    status=0
    wait "$1" || status=$?
    kill -0 "$1" 2>/dev/null || return "$status"
  done
}
