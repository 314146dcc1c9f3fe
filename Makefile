# Two commands do everything: `make demo` and `make test`. Both need Rust and Python 3 with pip, and nothing else.

CARGO    ?= cargo
# The demonstration says what it does on standard output; the log would say it twice.
DEMO     := AUTOCHROME_LOG=warn target/release/autochrome --config config/demo.toml

# Where `make install` puts the program and the bundled models.
PREFIX   ?= /usr/local

.PHONY: demo test lint bench install clean-demo

## Colour the sample photographs and print where to look.
demo:
	$(CARGO) build --release --locked
	target/release/autochrome setup
	mkdir -p demo
	$(DEMO) once
	@echo
	@$(DEMO) sheet --output demo/contact-sheet.html

## Everything: unit, integration and golden tests, on the real binary with the real runtime.
test:
	$(CARGO) test --locked --features faults --no-run
	target/debug/autochrome setup
	$(CARGO) test --locked --features faults

## What continuous integration checks before the tests.
lint:
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --all-targets --features faults -- --deny warnings

## Speed of the parts (criterion) and of the whole line (`autochrome bench`).
bench:
	$(CARGO) bench --locked
	$(CARGO) build --release --locked
	target/release/autochrome --config config/demo.toml bench

## Put the program and the bundled models under PREFIX; it finds its models from there.
install:
	$(CARGO) build --release --locked
	install -D -m 755 target/release/autochrome $(DESTDIR)$(PREFIX)/bin/autochrome
	install -d $(DESTDIR)$(PREFIX)/share/autochrome/models
	install -m 644 models/models.toml models/*.safetensors models/*.onnx models/*.md $(DESTDIR)$(PREFIX)/share/autochrome/models/

## Forget the demonstration's derivatives and ledger.
clean-demo:
	rm -rf demo
