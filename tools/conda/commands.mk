# conda's commands behind the verbs: micromamba solves and installs, conda-lock writes the lock.
# https://conda.github.io/conda-lock/, https://mamba.readthedocs.io/en/latest/user_guide/micromamba.html
# Neither has a cooldown for fresh releases, so NOW=1 has nothing to pass; conda-forge publishes after its own review.
CONDA = $(TOOLS)/python .tools/lock.py

LOCK = $(CONDA)
# `conda-lock --check-input-hash` solves and rewrites a stale lock instead of refusing it: check_lock.py computes that
# hash from the manifest, without network.
CHECK =
# Never `conda-lock install`: it checks md5 only. micromamba checks sha256.
SYNC = $(CONDA) --sync $(PACKAGE) && $(TOOLS)/python .tools/install.py --project-only
ADD = $(CONDA) --add '$(PKG)' $(if $(DEV),--dev)
UPGRADE = $(CONDA) --upgrade '$(PKG)'
WHY = $(CONDA) --why '$(PKG)'
