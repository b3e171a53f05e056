# SPDX-License-Identifier: GPL-2.0-only
#
# What iovab report --html embeds: our own page, and the chart library of
# user/page/package-lock.json, which npm fetches and nobody commits. Without npm, or
# where it can fetch nothing, --html is left out of the build, and nothing else.
# `make charts` tries again.

PAGE_BUILD := $(BUILD)/page
NPM ?= npm
charts_files := chart.js/dist/chart.umd.min.js chartjs-chart-matrix/dist/chartjs-chart-matrix.min.js

# The references to source maps go: a browser would fetch those.
$(PAGE_BUILD)/charts.js: user/page/package.json user/page/package-lock.json user/page/.npmrc
	$(say) NPM $@
	@rm -rf $(PAGE_BUILD)/npm && mkdir -p $(PAGE_BUILD)/npm
	@cp $^ $(PAGE_BUILD)/npm
	$(Q)if (cd $(PAGE_BUILD)/npm && $(NPM) ci --ignore-scripts --no-audit --no-fund --fetch-retries=1) \
		>$(PAGE_BUILD)/npm.log 2>&1 && \
	    (cd $(PAGE_BUILD)/npm/node_modules && cat $(charts_files)) | sed '/^\/\/# sourceMappingURL=/d' >$@.new; \
	then mv $@.new $@; \
	else echo "  iovab report --html is left out: npm could not fetch its chart library ($(PAGE_BUILD)/npm.log)"; \
		: >$@; fi

$(PAGE_BUILD)/page.css $(PAGE_BUILD)/page.js: $(PAGE_BUILD)/%: user/page/%
	@mkdir -p $(@D)
	@cp $< $@

page_parts := $(addprefix $(PAGE_BUILD)/,page.css page.js charts.js)
$(BUILD)/user/page.o: $(page_parts)
$(BUILD)/user/page.o: USER_CFLAGS += -DIOVAB_PAGE='"$(PAGE_BUILD)"'

.PHONY: charts
charts:
	@rm -f $(PAGE_BUILD)/charts.js
	$(Q)$(MAKE) -s --no-print-directory all
