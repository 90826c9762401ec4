# shellcheck shell=bash
# Base images made on this machine. Sourced by inside, which sets here, state and cache.
# Each image is built once and kept in CACHE/images as an archive that loads in a second or two.
: "${here:?}" "${state:?}" "${cache:?}"

load_stand_ins() {
  local pair
  mkdir -p "$cache/parts" "$cache/images"
  for pair in $STAND_IN_PYTHONS; do load_python "${pair%%:*}" "${pair##*:}"; done
  load_uv "$STAND_IN_UV"
}

load_python() { # VERSION SUITE
  local archive
  archive=$cache/images/python-$1-$2-$(recipe python.Dockerfile).tar
  [[ -e $archive ]] || build_python "$1" "$2" "$archive"
  load "$archive"
}

load_uv() { # VERSION
  local archive
  archive=$cache/images/uv-$1-$(recipe uv.Dockerfile).tar
  [[ -e $archive ]] || build_uv "$1" "$archive"
  load "$archive"
}

# What an image is made from by this repository and this machine, as a short name: a change makes a new archive.
recipe() { # DOCKERFILE
  cat "$here/$1" "$here/stand-ins.bash" "${ca_bundle:?}" | short_hash
}

build_python() { # VERSION SUITE ARCHIVE
  say "making python:$1-slim-$2"
  local parts=$cache/parts context=$cache/making/python
  [[ -e $parts/debian-$2.tar ]] || make_debian "$2"
  mkdir "$context"
  ln "$parts/debian-$2.tar" "$context/debian.tar"
  pack_cpython "$1" "$context/python.tar"
  cp "$ca_bundle" "$context/ca-certificates.crt"
  build "python:$1-slim-$2" "$3" "$context" python.Dockerfile --build-arg "VERSION=$1"
}

build() { # TAG ARCHIVE CONTEXT DOCKERFILE OPTION...
  local tag=$1 archive=$2 context=$3 dockerfile=$4
  shift 4
  docker build --quiet --tag "$tag" --file "$here/$dockerfile" "$@" "$context" >/dev/null
  docker save --output "$context.tar" "$tag"
  rm -rf "$context" "${archive%-*}"-*.tar # with those of an older recipe
  mv "$context.tar" "$archive"
}

load() { # ARCHIVE, unless this STATE has it from before
  local mark
  mark=$state/loaded-$(basename "$1" .tar)
  [[ ! -e $mark ]] || return 0
  docker load --quiet --input "$1" >/dev/null
  : >"$mark"
}

# The packages are those whose libraries CPython's extension modules load; the official image has them too.
make_debian() { # SUITE -> CACHE/parts/debian-SUITE.tar
  local t64=t64 packages
  [[ $1 != bookworm ]] || t64= # trixie renamed these two for 64-bit time
  packages=ca-certificates,netbase,tzdata,libbz2-1.0,libexpat1,libffi8,liblzma5,libncursesw6,libnsl2
  packages+=,libreadline8$t64,libsqlite3-0,libssl3$t64,libtirpc3$t64,libuuid1,zlib1g
  say "bootstrapping Debian $1"
  # shellcheck disable=SC2016 # $1 is the hook's
  TMPDIR=$cache/making mmdebstrap --quiet --variant=minbase --include="$packages" \
    --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
    --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-include=/usr/share/doc/*/copyright' \
    --customize-hook='rm -rf "$1"/var/lib/apt/lists/* "$1"/var/cache/* "$1"/var/log/*' \
    "$1" "$cache/making/debian.tar" "$(debian_mirror)" \
    >"$state/download.log" 2>&1 || unavailable "a Debian source that has $1, see $state/download.log"
  mv "$cache/making/debian.tar" "$cache/parts/debian-$1.tar"
}

# pyenv's CPython moved to /usr/local. Its site-packages stay behind: they are this machine's, not the image's.
pack_cpython() { # VERSION TAR
  local from minor=${1%.*} to=$cache/making/cpython
  from=$(pyenv_root)/versions/$1
  mkdir "$to"
  tar --create --directory "$from" --exclude=__pycache__ --exclude='./lib/python*/site-packages/*' \
    --exclude='./lib/python*/test' --exclude='./lib/python*/idlelib' --exclude='./lib/python*/tkinter' \
    --exclude='./lib/python*/lib-dynload/_tkinter*' --exclude='*.a' \
    "./bin/python$minor" "./bin/python$minor-config" ./include ./lib | tar --extract --directory "$to"
  ln -s "python$minor" "$to/bin/python3"
  ln -s python3 "$to/bin/python"
  add_pip "$from" "$to" "$minor"
  grep -rlIZF --include='*.py' --include='*.pc' --include=Makefile --include='python*-config' "$from" "$to" |
    xargs -0r sed -i "s#$from#/usr/local#g"
  tar --create --sort=name --owner=0 --group=0 --file "$2" --directory "$to" .
  rm -rf "$to"
}

add_pip() { # FROM TO MINOR: the pip that this CPython brings along in ensurepip
  local name
  "$1/bin/python3" -m zipfile -e "$1/lib/python$3/ensurepip/_bundled/"pip-*.whl "$2/lib/python$3/site-packages"
  for name in pip pip3 "pip$3"; do
    printf '%s\n' '#!/usr/local/bin/python3' 'import sys' 'from pip._internal.cli.main import main' 'sys.exit(main())' \
      >"$2/bin/$name"
    chmod 755 "$2/bin/$name"
  done
}

# The musl wheel: static programs like those of the official image, which run in any base.
build_uv() { # VERSION ARCHIVE
  say "making ghcr.io/astral-sh/uv:$1"
  local context=$cache/making/uv
  mkdir "$context"
  python3 -m pip download --quiet --no-deps --only-binary :all: --platform "musllinux_1_1_$(uname -m)" \
    --dest "$context" "uv==$1" \
    >"$state/download.log" 2>&1 || unavailable "a package index that has uv $1, see $state/download.log"
  python3 -m zipfile -e "$context"/uv-*.whl "$context/wheel"
  mv "$context"/wheel/uv-*.data/scripts/uv{,x} "$context"
  chmod 755 "$context/uv" "$context/uvx"
  build "ghcr.io/astral-sh/uv:$1" "$2" "$context" uv.Dockerfile
}
