# Pipenv's commands behind the verbs. https://pipenv.pypa.io/en/latest/commands.html
# How long a release must have been public before a lock may take it; NOW=1 passes it for one urgent fix. Pipenv's own
# setting would stand in Pipfile, and be part of what Pipfile.lock was made for.
COOLDOWN = $(if $(NOW),,{{ 'PIP_UPLOADED_PRIOR_TO=P' ~ cooldown_days ~ 'D' if cooldown_days }})
# `pipenv lock` moves every pin, and `pipenv upgrade` can lose packages: https://github.com/pypa/pipenv/issues/6573
RESOLVE = @$(COOLDOWN) $(TOOLS)/python .tools/lock.py

LOCK = $(RESOLVE)
CHECK = $(TOOLS)/python .tools/lock.py --verify
# Not `pipenv sync`: it takes a stale lock and entries without a hash, and removes nothing.
SYNC = $(TOOLS)/python .tools/install.py
ADD = $(RESOLVE) --add '$(PKG)' $(if $(DEV),--dev)
UPGRADE = $(RESOLVE) --upgrade '$(PKG)'
WHY = $(TOOLS)/python .tools/lock.py --why '$(PKG)'
