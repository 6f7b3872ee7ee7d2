# Every target sets up what it needs; only Python 3.11 or newer and make are taken for granted.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: demo test lint bench-real bench-latency bench-step bench-lava study-sast study-admm \
	study-deployment study-interop clean

demo: $(READY)
	$(BIN)/hardspike run configs/quickstart.yaml

test: lint
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 --dist loadfile

lint: $(READY)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

# The quickstart network, trained on simulated recordings alone, on 1,000 real ones.
bench-real: demo
	$(BIN)/python -m benchmarks.real_recordings runs/quickstart

bench-latency: demo
	$(BIN)/python -m benchmarks.latency runs/quickstart

# SAST's training step against the plain one.
bench-step: $(READY)
	$(BIN)/python -m benchmarks.training_step --out docs/studies/sast/step/pairs.json

# Runs what docs/studies/sast has no record of, then writes docs/studies/sast.md.
study-sast: $(READY)
	$(BIN)/python -m benchmarks.sast_study

# The same for docs/studies/admm; `--part race` and the like run a part alone.
study-admm: $(READY)
	$(BIN)/python -m benchmarks.admm_study

# The same for docs/studies/deployment: what is trained on real recordings, and the demo's network.
study-deployment: demo
	$(BIN)/python -m benchmarks.deployment_study

# Files of NIR from snnTorch, Norse, SpikingJelly and sinabs here, and ours there; lava-dl's files on
# Lava; a published network on real recordings (skipped without them); hostile files. Writes
# docs/studies/interop.md; `--part netx` and the like run a part alone. Each toolkit's packages are
# fetched once (1 to 6 MB, torch is shared).
study-interop: $(READY)
	$(BIN)/python -m benchmarks.interop_study

bench-lava: demo
	$(BIN)/python -m benchmarks.lava_streaming --net runs/quickstart/deploy/model.net --count 60

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

clean:
	rm -rf $(VENV) runs .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
