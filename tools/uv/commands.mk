# uv's commands behind the verbs. https://docs.astral.sh/uv/concepts/projects/sync/
export UV_PYTHON := $(CURDIR)/$(TOOLS)/python
UV = $(TOOLS)/uv

LOCK = $(UV) lock
# --locked and --check refuse a stale lock; --frozen would install it without a word.
CHECK = $(UV) lock --check
SYNC = $(UV) sync --locked
PIP_CHECK = $(UV) pip check --python .venv
ADD = $(UV) add --no-sync $(if $(DEV),--dev) '$(PKG)'
UPGRADE = $(UV) lock --upgrade-package '$(PKG)'
WHY = $(UV) tree --locked --invert --package '$(PKG)'
