# Each target is a line or two over cargo. CARGO_FLAGS and DEMO_ARGS add to them.
CARGO ?= cargo
# What building needs beside Rust: libopus, found by pkg-config.
BUILD_PACKAGES = libopus-dev pkg-config
# Peers and tools of tests/interop.
TEST_PACKAGES = $(BUILD_PACKAGES) sip-tester baresip-core kamailio secsipidx sipsak sipvicious sox
# How long `make soak` goes on, and how many cases `make fuzz` draws for each property and runs for each target.
SOAK_S ?= 3600
FUZZ_CASES ?= 100000
FUZZ_RUNS ?= 10000000
FUZZ_TARGETS ?= message stream uri sdp multipart digest rtp rtcp srtp jitter sound
# Coverage as libFuzzer wants it; these flags are stable, so no other toolchain is needed.
FUZZ_FLAGS = --cfg fuzzing -Ccodegen-units=1 -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
	-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
	-Cllvm-args=-sanitizer-coverage-trace-compares
# Found inputs are kept here, so that the next run begins where this one ended.
FUZZ_OUT = target/fuzz

.PHONY: demo test check bench soak fuzz test-packages build-packages

# A carrier, two agent phones and a router around the gateway; then who heard whom.
demo: build-packages
	$(CARGO) run --locked --release -p gateway $(CARGO_FLAGS) -- demo $(DEMO_ARGS)

# Every test there is.
test: test-packages
	@if $(CARGO) nextest --version >/dev/null 2>&1; then \
		$(CARGO) nextest run --workspace --locked --no-fail-fast $(CARGO_FLAGS) && \
		$(CARGO) test --workspace --doc --locked --quiet $(CARGO_FLAGS); \
	else \
		$(CARGO) test --workspace --locked --no-fail-fast $(CARGO_FLAGS); \
	fi

# What can be said without running anything: form, lints, house rules.
check: build-packages
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings
	$(CARGO) test --locked --quiet --test tidy

# CPU per packet at all kinds of media work, beside their floors, and the most legs of a core: figures and a chart into
# docs/benchmarks. Then set-up of calls and SRTP. BENCH_ARGS takes single cases (`relay-400 --engine epoll`) in their place.
BENCH_ARGS ?= all --find relay,mix --write $(CURDIR)/docs/benchmarks

bench: test-packages
	$(CARGO) bench --locked $(CARGO_FLAGS) -p media --bench media -- $(BENCH_ARGS)
	$(CARGO) bench --locked $(CARGO_FLAGS) -p house

# The suite again and again, with new random cases each time and the long form of hostile ones, until the time is
# over or something fails.
soak: test-packages
	@end=$$(($$(date +%s) + $(SOAK_S))); round=0; \
	while [ $$(date +%s) -lt $$end ]; do \
		round=$$((round + 1)); echo "soak: round $$round"; \
		HOSTILE_FACTOR=$${HOSTILE_FACTOR:-10} $(CARGO) test --workspace --release --locked --quiet $(CARGO_FLAGS) || exit 1; \
	done

# Every property with many more cases; a failing one is printed, shrunk, and kept beside its source. Then each fuzz
# target; an input that fails is kept as target/fuzz/TARGET-crash-….
fuzz: build-packages
	PROPTEST_CASES=$(FUZZ_CASES) $(CARGO) test -p sip -p media -p gateway --lib --release --locked $(CARGO_FLAGS)
	host=$$(rustc -vV | sed -n 's/^host: //p'); \
	RUSTFLAGS="$(FUZZ_FLAGS)" $(CARGO) build --manifest-path tests/fuzz/Cargo.toml --locked --release \
		--target $$host --target-dir $(FUZZ_OUT) && \
	for target in $(FUZZ_TARGETS); do \
		case $$target in message|stream) seeds="tests/corpus/rfc4475 tests/corpus/rfc5118";; *) seeds=tests/fuzz/seeds/$$target;; esac; \
		case $$target in rtp|rtcp|srtp|jitter|sound) dict="";; *) dict="-dict=tests/fuzz/sip.dict";; esac; \
		mkdir -p $(FUZZ_OUT)/corpus/$$target; \
		echo "fuzz: $$target"; \
		$(FUZZ_OUT)/$$host/release/$$target -runs=$(FUZZ_RUNS) -max_len=4096 -timeout=5 $$dict -verbosity=0 \
			-print_final_stats=1 -artifact_prefix=$(FUZZ_OUT)/$$target- $(FUZZ_OUT)/corpus/$$target $$seeds || exit 1; \
	done

build-packages:
	@$(MAKE) --no-print-directory test-packages TEST_PACKAGES="$(BUILD_PACKAGES)"

# Installs what is missing where we may; otherwise says what to install.
test-packages:
	@missing=""; for package in $(TEST_PACKAGES); do \
		dpkg-query -W -f '$${Status}' $$package 2>/dev/null | grep -q 'ok installed' || missing="$$missing $$package"; \
	done; \
	[ -z "$$missing" ] && exit 0; \
	if ! command -v apt-get >/dev/null; then echo "please install:$$missing" >&2; exit 1; fi; \
	if [ "$$(id -u)" = 0 ]; then as_root=""; \
	elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then as_root="sudo -n"; \
	else echo "please run: apt-get install$$missing" >&2; exit 1; fi; \
	$$as_root apt-get update -qq && \
	$$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends $$missing
