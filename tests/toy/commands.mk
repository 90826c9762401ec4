TOY = $(TOOLS)/python .tools/lock.py

LOCK = $(TOY)
CHECK =
SYNC = $(TOOLS)/python .tools/install.py
PIP_CHECK = $(TOOLS)/python -m pip --python .venv check
ADD = echo '$(PKG):' >>needs$(if $(DEV),-dev).txt && $(TOY)
UPGRADE = $(TOY)
WHY = grep '^$(PKG),' chosen.csv
