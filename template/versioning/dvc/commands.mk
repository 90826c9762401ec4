# DVC has an environment of its own: its hundred packages neither decide about the project's nor wait for them.
DVC = .dvc/venv/bin/dvc
DATA = $(shell sed -n 's/^FILE = Path("\(.*\)")$$/\1/p' src/$(PACKAGE)/data.py)

# Plugins for S3 and other remotes, with hashes too, stand in .dvc/remotes.txt if there is one.
.dvc/venv/installed: .dvc/requirements.txt $(wildcard .dvc/remotes.txt) .python-version
	@echo "Installing the pinned DVC into .dvc/venv"
	@rm -rf .dvc/venv && python=$$(sh .tools/bootstrap.sh find "$$(cat .python-version)") && "$$python" -m venv .dvc/venv
	@.dvc/venv/bin/python -m pip install --quiet --disable-pip-version-check --no-input --no-deps \
		--require-hashes --only-binary :all: $(patsubst %,--requirement %,$(filter %.txt,$^))
	@touch $@

.PHONY: data dvc repro clean-dvc
clean: clean-dvc
clean-dvc:
	rm -rf .dvc/venv

dvc: .dvc/venv/installed ## - The pinned DVC, from hashes, into .dvc/venv

# What lies there is left alone; what is missing comes from the remote, and without one from its stage.
data: ## - Bring the data that dvc.lock names, where there is none
	@test -e '$(DATA)' || { $(MAKE) --no-print-directory dvc && \
		if $(DVC) remote list | grep -q .; then $(DVC) pull '$(DATA)'; else $(DVC) repro data; fi; }

# Without what is said to this make: ARGS is for DVC, and its stages call make, which would hand it to the training.
repro: dvc .env | .venv/bin/python ## - Run the stages of dvc.yaml whose dependencies changed (ARGS=--force)
	@env -u ARGS -u MAKEFLAGS -u MFLAGS -u MAKELEVEL $(DVC) repro $(ARGS)

train test reproduce: | data

