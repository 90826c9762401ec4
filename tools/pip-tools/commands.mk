# pip-tools' commands behind the verbs. https://pip-tools.readthedocs.io/en/stable/cli/pip-compile/
# How long a release must have been public before a lock may take it; NOW=1 passes it for one urgent fix.
COOLDOWN = $(if $(NOW),,{{ 'PIP_UPLOADED_PRIOR_TO=P' ~ cooldown_days ~ 'D' if cooldown_days }})
COMPILE = @$(COOLDOWN) $(TOOLS)/python .tools/lock.py

LOCK = $(COMPILE)
# pip-tools has no check of its own: check_lock.py compares the requirements with the pins, without network.
CHECK =
# Not pip-sync: it wants pip in the environment, and takes the project itself for an extra.
SYNC = $(TOOLS)/python .tools/install.py
ADD = $(COMPILE) --add '$(PKG)' $(if $(DEV),--dev)
UPGRADE = $(COMPILE) --upgrade '$(PKG)'
WHY = $(TOOLS)/python .tools/lock.py --why '$(PKG)'
