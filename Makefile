# Two commands set all up on a fresh machine: `make demo` and `make test`.
CARGO ?= cargo

.PHONY: help demo test lint doc book macos bench soak compat fuzz package dist dist-test reproduce screenshots install tools

help: ## what can be made
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14

demo: ## a private broker and launcher with sample services, and their picture
	@.ci/tools broker
	$(CARGO) build --release --workspace
	@target/release/tcsctl demo

tools: ## get the brokers and the Python client that the tests run against
	@.ci/tools

test: tools ## all tests, against real brokers
	@.ci/tests

lint: ## format and lints, as .ci/run checks them
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings

doc: ## the crates' documentation, in target/doc
	$(CARGO) doc --workspace --no-deps

book: ## the handbook, in target/book/docs (mdBook, which `make tools` gets)
	PATH="$(CURDIR)/.tools/venv/bin:$$PATH" mdbook build docs
	cp -R config screenshots target/book/

# no C is compiled for a check: `true` stands for the compiler, which would need the SDK
macos: ## check that the console compiles for macOS
	rustup target add aarch64-apple-darwin
	CC_aarch64_apple_darwin=true AR_aarch64_apple_darwin=true \
	    $(CARGO) check --locked -p tcsctl --target aarch64-apple-darwin

bench: tools ## criterion, and whole processes beside a bare reader of the same messages
	$(CARGO) bench --workspace
	$(CARGO) test --release --locked -p tcsctl --test serve -- --ignored --nocapture budget
	$(CARGO) test --release --locked -p tcsctl --test history -- --ignored --nocapture budget

soak: tools ## hours of services that crash, flood, hang and daemonise, of floods, of dying sentinels and cluster leaders
	TCS_SOAK_SECONDS=3600 TCS_DAEMONS=500 TCS_DAEMONS_SECONDS=60 $(CARGO) test --release --locked -p tcs-launcher --test soak -- --nocapture
	TCS_FLOOD_IDS=600000 TCS_FLOOD_ROUNDS=3 $(CARGO) test --release --locked -p tcs-launcher --test overload -- --nocapture
	TCS_FLOOD_IDS=600000 TCS_FLOOD_ROUNDS=3 $(CARGO) test --release --locked -p tcsctl --test flood -- --nocapture --test-threads 1
	TCS_ALARM_SITES=13 TCS_ALARM_ROUNDS=50 TCS_ALARM_RACES=100 $(CARGO) test --release --locked -p tcsctl --test alarms -- \
	    --nocapture --include-ignored --test-threads 1
	TCS_CLUSTER_SECONDS=3600 TCS_QUORUM_SECONDS=75 $(CARGO) test --release --locked -p tcs-launcher \
	    --test cluster -- --nocapture --test-threads 1

# the last commit of the release that this version must work beside
OLD := 43f2efb
OLD_TREE := target/compat-$(OLD)

compat: tools ## the programs of release 0.1 and those of this version, with each other
	@git cat-file -e $(OLD)^{commit} || { echo "commit $(OLD) is not here: git fetch --unshallow"; exit 1; }
	@[ -d $(OLD_TREE) ] || { mkdir -p $(OLD_TREE) && git archive $(OLD) | tar -x -C $(OLD_TREE); }
	cd $(OLD_TREE) && $(CARGO) build --locked --bin tcsd --bin tcsctl
	$(CARGO) build --locked --bin tcsd --bin tcsctl
	TCS_OLD_PROGRAMS=$(CURDIR)/$(OLD_TREE)/target/debug \
	    $(CARGO) test --locked -p tcsctl --test compat -- --include-ignored

FUZZ ?= -max_total_time=60
fuzz: ## the fuzz targets, a minute each (nightly, cargo-fuzz)
	cd fuzz && for target in $$($(CARGO) +nightly fuzz list); do \
	    mkdir -p target/corpus/$$target && \
	    $(CARGO) +nightly fuzz run $$target target/corpus/$$target corpus/$$target -- \
	        $(FUZZ) -max_len=65536 -timeout=10 || exit 1; done

# cargo takes a version that it has seen for unchanged: what it keeps of an earlier run goes first
PACKAGES := target/packages
package: ## each crate as it would be published, in target/packages/package, built from that alone
	rm -rf $(PACKAGES) $${CARGO_HOME:-$$HOME/.cargo}/registry/*/-*/tcs-*
	$(CARGO) package --locked --workspace --exclude tcs-testkit --target-dir $(PACKAGES)

DIST ?= x86_64
dist: ## wheel, debs, rpms and tarball in dist/, for each Linux since glibc 2.17; DIST="x86_64 aarch64" for both
	packaging/dist $(DIST)

dist-test: ## install what is in dist/ in fresh environments, run it, remove it
	packaging/test

reproduce: ## build what is in dist/ again, in another place, and compare
	packaging/reproduce $(DIST)

screenshots: ## draw the pictures of the README anew; beside each SVG a PNG where rsvg-convert is
	TCS_SCREENSHOTS=write $(CARGO) test --quiet -p tcsctl --lib screenshots
	@if command -v chromium >/dev/null; then \
	    TCS_SCREENSHOTS=write $(CARGO) test --quiet -p tcsctl --test serve pictures; \
	else echo "no chromium here: no pictures of the status page"; fi
	@if command -v rsvg-convert >/dev/null; then \
	    for svg in screenshots/*.svg; do rsvg-convert --zoom 2 -o "$${svg%.svg}.png" "$$svg"; done; \
	else echo "no rsvg-convert here: SVG only"; fi

# what --version tells: version, commit and its date
install: export TCS_BUILD = $(shell .ci/version)
install: ## tcsctl and tcsd into ~/.cargo/bin
	$(CARGO) install --locked --path tcsctl
	$(CARGO) install --locked --path tcs-launcher
