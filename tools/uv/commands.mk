# uv's commands behind the verbs. https://docs.astral.sh/uv/concepts/projects/sync/
export UV_PYTHON := $(CURDIR)/$(TOOLS)/python
UV = $(TOOLS)/uv
# NOW=1 lets PKG pass the cooldown for one urgent fix. uv wants to know it at each check, so uv.toml says it.
NAME = $(shell printf '%s' '$(PKG)' | sed 's/[^A-Za-z0-9._-].*//')
WITH_EXCEPTION = $(if $(NOW),cp uv.toml uv.toml.before; grep -q '^"$(NAME)" = ' uv.toml || echo '"$(NAME)" = false' >>uv.toml; \
	$(1) && rm uv.toml.before || { mv uv.toml.before uv.toml; exit 1; },$(1))

LOCK = $(if $(NOW),$(error With uv the cooldown is passed for one package: make upgrade PKG=name NOW=1))$(UV) lock
# --locked and --check refuse a stale lock; --frozen would install it without a word.
CHECK = $(UV) lock --check
SYNC = $(UV) sync --locked
PIP_CHECK = $(UV) pip check --python .venv
ADD = $(call WITH_EXCEPTION,$(UV) add --no-sync $(if $(DEV),--dev) '$(PKG)')
UPGRADE = $(call WITH_EXCEPTION,$(UV) lock --upgrade-package '$(PKG)')
WHY = $(UV) tree --locked --invert --package '$(PKG)'
