# Poetry's commands behind the verbs. https://python-poetry.org/docs/cli/
export POETRY_NO_INTERACTION := 1
# An activated environment, and settings of your own, would send it elsewhere than to .venv.
unexport VIRTUAL_ENV CONDA_PREFIX
export POETRY_VIRTUALENVS_CREATE := true
export POETRY_VIRTUALENVS_IN_PROJECT := true
ifneq ($(NOW),)
export POETRY_SOLVER_MIN_RELEASE_AGE := 0
endif
POETRY = $(TOOLS)/poetry
# Poetry takes an environment for every command, and would make .venv to resolve: its own will do.
RESOLVE = VIRTUAL_ENV='$(CURDIR)/.tools/venv' $(POETRY)

LOCK = $(RESOLVE) lock
# `poetry check --lock` takes a second and compares one digest, which check_lock.py computes itself.
CHECK =
# Poetry makes an environment where there is none, and only refuses one of another Python.
SYNC = grep -qs "^version.*= {{ python_version }}\." .venv/pyvenv.cfg || rm -rf .venv; $(POETRY) sync
ADD = $(RESOLVE) add --lock $(if $(DEV),--dev) '$(PKG)'
UPGRADE = case '$(PKG)' in *[=\<\>~!@]*) echo "Poetry upgrades to the newest release that the manifest allows: leave" \
	"the version out, or ask for it in the manifest, by make add PKG='$(PKG)'." >&2; exit 1;; esac; \
	$(RESOLVE) update --lock '$(PKG)'
WHY = $(RESOLVE) show --why --tree '$(PKG)'
