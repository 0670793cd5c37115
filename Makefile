# Tidemark - a time-series storage server one can program.
#
# First time:   make run          install what is missing, build, serve on 127.0.0.1:9201
#               make test         the same, then run every spec
#
# Variables:    V=1               show the commands
#               DEBUG=1           -O0, no optimisation
#               SANITIZER=LIST    address,undefined or thread (clang; objects apart)
#               SPEC=PATH         run only this spec file or folder
#               NAME=PATTERN      run only specs whose name matches
#               LONG=1            the long versions of the specs
#               CC= CXX= CFLAGS= LDFLAGS= PREFIX= DESTDIR=    as usual; flags are added
#
# Targets:

.DEFAULT_GOAL := all
-include local.mk

PREFIX ?= /usr/local
CONFIG ?= config.lua

# --- variants: each has its own folder of objects ------------------------------------------------

comma := ,
variant := $(if $(SANITIZER),$(subst $(comma),-,$(SANITIZER)),$(if $(DEBUG),debug,release))
ifeq ($(variant),release)
B := build
else
B := build/$(variant)
endif
O := $(B)/obj

ifdef SANITIZER
CC = clang
CXX = clang++
sanitize := -fsanitize=$(SANITIZER) -fno-omit-frame-pointer -fno-sanitize-recover=all
endif
optimise := $(if $(DEBUG),-O0,-O2)

packages := luajit libevent libevent_pthreads libevent_openssl openssl re2 libxxhash zlib libdeflate \
	libcjson libedit
# Loaded when it is first needed: core/base/curl_library.h.
loaded := libcurl
libraries := -lleveldb -lsnappy -lhttp_parser -lroaring -lcrypt -lpthread -lm

warnings := -Wall -Wextra -Wshadow -Wvla -Wconversion $(if $(WERROR),-Werror)
c_warnings := $(warnings) -Wstrict-prototypes -Wmissing-prototypes
common = -g $(optimise) -fPIC -ffp-contract=off -fvisibility=default -D_GNU_SOURCE -Icore -I$(B)/gen \
	$(sanitize) $(shell pkg-config --cflags $(packages) $(loaded) 2>/dev/null)
all_cflags = -std=gnu11 $(common) $(c_warnings) $(CFLAGS)
all_cxxflags = -std=c++17 $(common) $(warnings) $(CXXFLAGS)
all_libs = $(sanitize) $(LDFLAGS) $(shell pkg-config --libs $(packages) 2>/dev/null) $(libraries) -ldl

# A package says which version it is, having no history.
version := $(or $(TIDE_VERSION),$(shell git describe --always --dirty --tags 2>/dev/null || \
	echo unknown))

c_files := $(sort $(wildcard core/*/*.c))
cc_files := $(sort $(wildcard core/*/*.cc))
lua_files := $(sort $(shell find lua -name '*.lua' 2>/dev/null))
objects := $(c_files:%.c=$(O)/%.o) $(cc_files:%.cc=$(O)/%.o) $(O)/gen/embedded.o
main_objects := $(patsubst %.c,$(O)/%.o,$(wildcard core/*.c))

q := $(if $(V),,@)
say = $(if $(V),,@printf '  %-5s %s\n' $(1) $(2))

.PHONY: all web pictures run test check bench fuzz crash install uninstall man deb format lint docs clean help deps \
	deps-test peers protocols bench-tools spec-tools FORCE

all: $(B)/tidemark $(B)/libtide.so $(if $(SANITIZER),$(B)/luahost) ## build the server and the library that the specs load

$(B)/tidemark: $(main_objects) $(objects)
	$(call say,LINK,$@)
	$(q)$(CXX) -rdynamic -o $@ $^ $(all_libs)

# Never unloaded: a thread of LevelDB, which nobody can stop, waits on memory of its library.
$(B)/libtide.so: $(objects)
	$(call say,LINK,$@)
	$(q)$(CXX) -shared -Wl,-z,nodelete -o $@ $^ $(all_libs)

# A luajit with the sanitizer's runtime in it, for the specs of a sanitized library.
$(B)/luahost: spec/support/luahost.c $(O)/flags
	$(call say,LINK,$@)
	$(q)$(CC) $(all_cflags) -rdynamic -o $@ $< $(sanitize) -lluajit-5.1 -lm -ldl

# Objects are rebuilt when the flags change.
flags_now := $(filter-out -Werror,$(CC) $(all_cflags) $(all_cxxflags))
$(O)/flags: FORCE
	@mkdir -p $(O)
	@echo '$(subst ','\'',$(flags_now))' | cmp -s - $@ || echo '$(subst ','\'',$(flags_now))' > $@

$(O)/%.o: %.c $(O)/flags
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(q)$(CC) $(all_cflags) -MMD -MP -c -o $@ $<

$(O)/%.o: %.cc $(O)/flags
	$(call say,CXX,$<)
	@mkdir -p $(@D)
	$(q)$(CXX) $(all_cxxflags) -MMD -MP -c -o $@ $<

# The server's own Lua and the page, if `make web` built it, lie in the binary. Looked for when they
# are embedded, as `make web all` makes some of them.
embedded_files = $(lua_files) docs/lua-api.md $(shell ls web/dist/*.gz 2>/dev/null)

$(B)/gen/embedded.c: .ci/embed $(lua_files) docs/lua-api.md $(B)/gen/embedded.list
	$(call say,EMBED,$@)
	$(q)sh .ci/embed $(embedded_files) > $@

# A file that is gone is a change too.
$(B)/gen/embedded.list: FORCE | $(filter web,$(MAKECMDGOALS))
	@mkdir -p $(@D)
	@cksum $(embedded_files) | cmp -s - $@ || cksum $(embedded_files) > $@

$(O)/gen/embedded.o: $(B)/gen/embedded.c $(O)/flags
	@mkdir -p $(@D)
	$(q)$(CC) $(all_cflags) -c -o $@ $<

# The version changes with each commit: only one small object depends on it.
$(B)/gen/version.h: FORCE
	@mkdir -p $(@D)
	@echo '#define TIDE_VERSION "$(version)"' | cmp -s - $@ || \
		echo '#define TIDE_VERSION "$(version)"' > $@

$(main_objects): $(B)/gen/version.h

-include $(objects:.o=.d) $(main_objects:.o=.d)

# --- what people and CI run ----------------------------------------------------------------------

web: web/dist/.built ## build the page for browsers (needs npm); then build again, and the server has it

web/dist/.built: web/node_modules/.package-lock.json web/build.mjs $(wildcard web/src/*)
	$(call say,PAGE,web/dist)
	$(q)cd web && node build.mjs
	$(q)touch $@

# Without scripts of packages; npm writes the file when all is there.
web/node_modules/.package-lock.json: web/package.json web/package-lock.json
	$(call say,NPM,web/node_modules)
	$(q)cd web && npm ci --no-audit --no-fund --loglevel=error --ignore-scripts >/dev/null
	$(q)touch $@

pictures: web ## take README's pictures of the page anew (needs Chromium)
	@$(MAKE) --no-print-directory all
	@BUILD=$(B) PICTURES=docs luajit spec/run.lua spec/web/pictures_spec.lua

run: deps ## install what is missing, build, and serve (ARGS="--listen ... --data ...")
	@$(MAKE) --no-print-directory all
	$(B)/tidemark serve $(if $(wildcard $(CONFIG)),--config $(CONFIG)) $(ARGS)

deps: ## install the Debian packages that building needs
	@sh .ci/packages build

deps-test: ## install the Debian packages that the specs need
	@sh .ci/packages build test

test: deps-test peers ## build and run every spec; ends with "N passed, N failed"
	@$(MAKE) --no-print-directory web || echo "SKIPPED: the page, which npm cannot build here"
	@$(MAKE) --no-print-directory all WERROR=1
	@$(MAKE) --no-print-directory bench-tools spec-tools
	@BUILD=$(B) LONG=$(LONG) luajit spec/run.lua $(if $(NAME),--name '$(NAME)') $(SPEC)

peers: ## fetch Prometheus and VictoriaMetrics for specs and benchmarks into build/peers
	@sh .ci/peers

protocols: deps-test peers all ## write what real clients sent and read into docs/protocols.md
	@BUILD=$(B) TABLE=1 luajit spec/run.lua spec/compat/peers_spec.lua

bench_sources := $(wildcard spec/bench/*.c)
bench_programs := $(bench_sources:spec/bench/%.c=$(B)/bench/%)

bench-tools: $(bench_programs)

$(B)/bench/%: spec/bench/%.c spec/bench/bench.h $(objects)
	$(call say,LINK,$@)
	@mkdir -p $(@D)
	$(q)$(CC) $(all_cflags) -o $(O)/bench_$*.o -c $<
	$(q)$(CXX) -o $@ $(O)/bench_$*.o $(objects) $(all_libs)

# Programs that specs start beside the server.
spec_tools := $(patsubst spec/support/%.c,$(B)/tools/%,$(wildcard spec/support/*.c)) $(B)/tools/crash_store

spec-tools: $(spec_tools)

$(B)/tools/%: spec/support/%.c $(objects)
	$(call say,LINK,$@)
	@mkdir -p $(@D)
	$(q)$(CC) $(all_cflags) -o $(O)/tool_$*.o -c $<
	$(q)$(CXX) -o $@ $(O)/tool_$*.o $(objects) $(all_libs)

crash_sources := $(wildcard spec/crash/*.c)
$(B)/tools/crash_store: $(crash_sources) spec/crash/volume_undo.h $(objects)
	$(call say,LINK,$@)
	@mkdir -p $(@D)
	$(q)for source in $(crash_sources); do \
		$(CC) $(all_cflags) -o $(O)/tool_$$(basename $$source .c).o -c $$source || exit 1; done
	$(q)$(CXX) -o $@ $(crash_sources:spec/crash/%.c=$(O)/tool_%.o) $(objects) $(all_libs)

RUNS ?= 500
crash: all spec-tools ## kill stores and compare what they leave: RUNS=500 kills of each kind; SEED= and MODE= run one again
	@BUILD=$(B) RUNS=$(RUNS) luajit spec/run.lua spec/crash

bench: deps all bench-tools $(if $(WITH),peers) ## measure; WITH=peers adds Prometheus and VictoriaMetrics; SIDE="--short" runs only the comparison
	@BUILD=$(B) SIDE="$(SIDE)" sh spec/bench/run.sh $(WITH)

fuzz_sources := $(wildcard spec/fuzz/*.c)
fuzz_names := $(fuzz_sources:spec/fuzz/%.c=%)

fuzz: deps-test ## run every fuzz target for SECONDS (default 60) each
	@$(MAKE) --no-print-directory SANITIZER=address,undefined,fuzzer-no-link fuzz-all SECONDS=$(or $(SECONDS),60)

fuzz-all: $(fuzz_names:%=$(B)/fuzz/%)
	$(q)sh spec/fuzz/run.sh $(B)/fuzz $(SECONDS)

$(B)/fuzz/%: spec/fuzz/%.c $(objects)
	$(call say,FUZZ,$@)
	@mkdir -p $(@D)
	$(q)clang $(all_cflags) -fsanitize=fuzzer -o $(O)/fuzz_$*.o -c $<
	$(q)clang++ -fsanitize=fuzzer -o $@ $(O)/fuzz_$*.o $(objects) $(all_libs)

check: deps-test lint ## format, lint, floors, and the specs under the sanitizers
	@sh .ci/check

lint: ## clang-format, cppcheck, luacheck
	@sh .ci/lint

format: ## rewrite C sources in the house's layout
	clang-format -i $(wildcard core/*.c core/*/*.[ch] core/*/*.cc spec/*/*.c spec/*/*.h)

from_schema := package.path = "lua/?.lua" io.write(require("tidemark.config")

docs: ## write config.lua, docs/configuration.md and the commands of docs/console.md anew
	luajit -e '$(from_schema).example())' > config.lua
	luajit -e '$(from_schema).document())' > docs/configuration.md
	luajit -e 'package.path = "lua/?.lua" require("tidemark.console_help").write("docs/console.md")'

# --- manual pages and packages -------------------------------------------------------------------

SYSCONFDIR ?= $(PREFIX)/etc
UNITDIR ?= $(PREFIX)/lib/systemd/system
share = $(DESTDIR)$(PREFIX)/share

man_sources := $(wildcard docs/man/*.scd)
man_pages := $(man_sources:docs/man/%.scd=$(B)/man/%) $(B)/man/tidemark-config.lua.5

man: $(man_pages) ## make the manual pages (needs scdoc)

tidy_man := awk -f .package/tidy_man.awk

$(B)/man/%: docs/man/%.scd .package/tidy_man.awk
	$(call say,MAN,$@)
	@mkdir -p $(@D)
	$(q)scdoc < $< | $(tidy_man) > $@

$(B)/man/tidemark-config.lua.5: lua/tidemark/schema.lua lua/tidemark/config.lua .package/tidy_man.awk
	$(call say,MAN,$@)
	@mkdir -p $(@D)
	$(q)luajit -e '$(from_schema).manual())' | scdoc | $(tidy_man) > $@

deb: ## build a Debian package of the committed tree into build/deb
	@sh .ci/packages build deb
	@sh .package/deb

install: all $(if $(shell command -v scdoc),man) ## install below DESTDIR/PREFIX (SYSCONFDIR, UNITDIR)
	install -D -m 0755 $(B)/tidemark $(DESTDIR)$(PREFIX)/bin/tidemark
	install -D -m 0644 .package/tidemark.service $(DESTDIR)$(UNITDIR)/tidemark.service
	test -e $(DESTDIR)$(SYSCONFDIR)/tidemark/config.lua || \
		install -D -m 0644 .package/config.lua $(DESTDIR)$(SYSCONFDIR)/tidemark/config.lua
	install -D -m 0644 .package/scripts-README $(DESTDIR)$(SYSCONFDIR)/tidemark/scripts/README
	install -D -m 0644 .package/tidemark.bash $(share)/bash-completion/completions/tidemark
	install -d $(share)/doc/tidemark/scripts $(share)/doc/tidemark/examples
	install -m 0644 README.md config.lua $(wildcard docs/*.md) $(share)/doc/tidemark
	install -m 0644 $(wildcard scripts/*) $(share)/doc/tidemark/scripts
	install -m 0644 $(wildcard docs/examples/*) $(share)/doc/tidemark/examples
	$(if $(shell command -v scdoc),$(foreach page,$(man_pages), \
		install -D -m 0644 $(page) $(share)/man/man$(subst .,,$(suffix $(page)))/$(notdir $(page)) &&) true)

uninstall: ## remove what install put there; configuration and data stay
	rm -f $(DESTDIR)$(PREFIX)/bin/tidemark $(DESTDIR)$(UNITDIR)/tidemark.service \
		$(share)/bash-completion/completions/tidemark $(share)/man/man[15]/tidemark*
	rm -rf $(share)/doc/tidemark

clean: ## remove everything that was built
	rm -rf build

help: ## this text
	@sed -n '/^#/!q;s/^# \{0,1\}//p' Makefile
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1|\2/p' Makefile | column -t -s '|' 2>/dev/null || \
		sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1  \2/p' Makefile
