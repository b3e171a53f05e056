// SPDX-License-Identifier: GPL-2.0-only
/* Escaping of hostile names, widths, and the units of numbers. */
#include <locale.h>
#include <stdlib.h>
#include <string.h>

#include "fixture.h"
#include "flow.h"
#include "text.h"

static void check_escape(const char *raw, const char *utf8, const char *ascii)
{
	char buf[TEXT_ESCAPED_LEN];

	assert_int_equal(text__escape(buf, sizeof(buf), raw, 1000, TEXT_UTF8), strlen(utf8));
	assert_string_equal(buf, utf8);
	assert_int_equal(text__escape(buf, sizeof(buf), raw, 1000, TEXT_ASCII), strlen(ascii));
	assert_string_equal(buf, ascii);
}

static void plain_names_stay(void **state)
{
	check_escape("0000:3b:00.2", "0000:3b:00.2", "0000:3b:00.2");
	check_escape("", "", "");
	check_escape("a b~!\"'", "a b~!\"'", "a b~!\"'");
	check_escape("B\xc3\xbcro", "B\xc3\xbcro", "B\\u00fcro");
	check_escape("\xe6\xbc\xa2", "\xe6\xbc\xa2", "\\u6f22");
	check_escape("\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80", "\\U0001f600");
}

static void controls_are_escaped(void **state)
{
	check_escape("\x1b[31mred", "\\x1b[31mred", "\\x1b[31mred");
	check_escape("\x1b]0;title\a", "\\x1b]0;title\\x07", "\\x1b]0;title\\x07");
	check_escape("a\nb\rc\td\x7f", "a\\nb\\rc\\td\\x7f", "a\\nb\\rc\\td\\x7f");
	check_escape("\x01\x08", "\\x01\\x08", "\\x01\\x08");
	/* a name cannot pretend to be the escape of another */
	check_escape("\\x1b", "\\\\x1b", "\\\\x1b");
}

static void c1_controls_are_escaped(void **state)
{
	/* as bare bytes (no UTF-8), and as characters: U+009B is CSI */
	check_escape("\x9b" "31m", "\\x9b31m", "\\x9b31m");
	check_escape("\xc2\x9b" "31m", "\\u009b31m", "\\u009b31m");
	check_escape("\xc2\x80\xc2\x9f", "\\u0080\\u009f", "\\u0080\\u009f");
}

static void bidi_and_invisible_are_escaped(void **state)
{
	check_escape("a\xe2\x80\xae" "b", "a\\u202eb", "a\\u202eb");	/* RTL override */
	check_escape("\xe2\x81\xa6", "\\u2066", "\\u2066");		/* LTR isolate */
	check_escape("\xe2\x80\x8b", "\\u200b", "\\u200b");		/* zero width */
	check_escape("\xe2\x80\x8f", "\\u200f", "\\u200f");		/* RTL mark */
	check_escape("\xd8\x9c", "\\u061c", "\\u061c");		/* Arabic letter mark */
	check_escape("\xef\xbb\xbf", "\\ufeff", "\\ufeff");
	check_escape("\xe2\x80\xa8", "\\u2028", "\\u2028");		/* line separator */
	check_escape("e\xcc\x81", "e\\u0301", "e\\u0301");		/* combining accent */
	check_escape("\xc2\xad", "\\u00ad", "\\u00ad");		/* soft hyphen */
	check_escape("\xf3\xa0\x81\x81", "\\U000e0041", "\\U000e0041");	/* tag */
}

static void invalid_utf8_is_escaped(void **state)
{
	check_escape("\xff\xfe", "\\xff\\xfe", "\\xff\\xfe");
	check_escape("a\xc3", "a\\xc3", "a\\xc3");			/* cut */
	check_escape("\xc3(", "\\xc3(", "\\xc3(");
	check_escape("\xc0\xaf", "\\xc0\\xaf", "\\xc0\\xaf");		/* overlong */
	check_escape("\xe0\x80\xaf", "\\xe0\\x80\\xaf", "\\xe0\\x80\\xaf");
	check_escape("\xed\xa0\x80", "\\xed\\xa0\\x80", "\\xed\\xa0\\x80");	/* surrogate */
	check_escape("\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80", "\\xf4\\x90\\x80\\x80");
	check_escape("\xf5", "\\xf5", "\\xf5");
	check_escape("\x80", "\\x80", "\\x80");
}

static void escapes_are_never_cut(void **state)
{
	char buf[8];

	assert_int_equal(text__escape(buf, 4, "a\x1b", 2, TEXT_UTF8), 1);
	assert_string_equal(buf, "a");
	assert_int_equal(text__escape(buf, 6, "a\x1b", 2, TEXT_UTF8), 5);
	assert_int_equal(text__escape(buf, 3, "a\xc3\xbc", 3, TEXT_UTF8), 1);
	assert_int_equal(text__escape(buf, 4, "a\xc3\xbc", 3, TEXT_UTF8), 3);
	assert_int_equal(text__escape(buf, 1, "abc", 3, TEXT_UTF8), 0);
	assert_string_equal(buf, "");
	assert_int_equal(text__escape(buf, 0, "abc", 3, TEXT_UTF8), 0);
}

static void fields_end_where_they_end(void **state)
{
	char field[4] = { 'a', 'b', 'c', 'd' }, buf[TEXT_ESCAPED_LEN];

	assert_int_equal(text__escape_field(buf, sizeof(buf), field, TEXT_UTF8), 4);
	assert_string_equal(buf, "abcd");
	field[2] = '\0';
	assert_int_equal(text__escape_field(buf, sizeof(buf), field, TEXT_UTF8), 2);
}

/* Whatever the bytes, what comes out is printable, and fits the bound of text.h. */
static void random_bytes_come_out_harmless(void **state)
{
	char raw[IOVAB_VM_LEN], buf[TEXT_ESCAPED_LEN];
	unsigned int round, cp;
	size_t i, n, len;

	for (round = 0; round < 20000; round++) {
		for (i = 0; i < sizeof(raw); i++)
			raw[i] = (char)(fixture__random() >> 7);
		len = text__escape(buf, sizeof(buf), raw, sizeof(raw), TEXT_ASCII);
		for (i = 0; i < len; i++)
			assert_in_range(buf[i], 0x20, 0x7e);
		len = text__escape(buf, sizeof(buf), raw, sizeof(raw), TEXT_UTF8);
		assert_true(len >= strnlen(raw, sizeof(raw)));
		for (i = 0; i < len; i += n) {
			n = text__decode(buf + i, len - i, &cp);
			assert_true(n > 0 && cp >= 0x20 && (cp < 0x7f || cp >= 0xa0));
		}
	}
}

static void decode_agrees_with_the_c_library(void **state)
{
	unsigned int cp, back;
	char bytes[8];
	wchar_t wide;
	size_t n;
	int len;

	for (cp = 1; cp < 0x110000; cp += 1 + cp / 512) {
		len = wctomb(bytes, (wchar_t)cp);
		if (len < 0)
			continue;	/* a surrogate */
		n = text__decode(bytes, (size_t)len, &back);
		assert_int_equal(n, len);
		assert_int_equal(back, cp);
		assert_int_equal(text__decode(bytes, n - 1 ? n - 1 : 1, &back), n > 1 ? 0 : 1);
		assert_int_equal(mbtowc(&wide, bytes, n), len);
	}
}

/* --- cells --- */

static void check_fit(const char *text, size_t width, bool right, enum text_charset cs,
		      const char *expected)
{
	char buf[128];

	assert_string_equal(text__fit(buf, sizeof(buf), text, width, right, cs), expected);
	assert_int_equal(text__width(buf, cs), width);
}

static void fit_pads_and_cuts(void **state)
{
	check_fit("abc", 5, false, TEXT_UTF8, "abc  ");
	check_fit("abc", 5, true, TEXT_UTF8, "  abc");
	check_fit("abcde", 5, true, TEXT_UTF8, "abcde");
	check_fit("abcdef", 5, false, TEXT_UTF8, "abcd…");
	check_fit("abcdef", 5, true, TEXT_ASCII, "abcd~");
	check_fit("abc", 0, false, TEXT_UTF8, "");
	check_fit("ab", 1, false, TEXT_ASCII, "~");
	check_fit("µs", 4, true, TEXT_UTF8, "  µs");
	/* two cells a character: a cell is left when one would stand across the end */
	check_fit("漢字漢", 5, false, TEXT_UTF8, "漢字…");
	check_fit("漢字漢", 4, false, TEXT_UTF8, "漢… ");
}

static void charset_is_that_of_the_locale(void **state)
{
	assert_int_equal(text__locale_charset(), TEXT_UTF8);
	setlocale(LC_ALL, "C");
	assert_int_equal(text__locale_charset(), TEXT_ASCII);
	assert_non_null(setlocale(LC_ALL, "C.UTF-8"));
}

static char *flow_of(size_t width, const char *words)
{
	struct flow f = { .width = width, .charset = TEXT_UTF8, .indent = 2 };
	char *text = NULL;
	size_t size;

	f.out = open_memstream(&text, &size);
	flow__words(&f, "%s", words);
	flow__item(&f, "%s", "an item");
	flow__end(&f);
	fclose(f.out);
	return text;
}

static void flow_breaks_between_words(void **state)
{
	char *text = flow_of(12, "one two three four");

	assert_string_equal(text, "one two\n  three four\n  an item\n");
	free(text);
	text = flow_of(0, "one two three four");
	assert_string_equal(text, "one two three four  an item\n");
	free(text);
}

/* --- units --- */

#define CHECK(call, expected) do {					\
	char buf[IOVAB_UNITS_LEN];					\
	assert_string_equal(call, expected);				\
} while (0)
#define B	buf, sizeof(buf)

static void counts(void **state)
{
	CHECK(units__count(B, 0), "0");
	CHECK(units__count(B, 99999), "99999");
	CHECK(units__count(B, 100000), "100k");
	CHECK(units__count(B, 999499), "999k");
	CHECK(units__count(B, 999500), "1.00M");
	CHECK(units__count(B, 1234567), "1.23M");
	CHECK(units__count(B, ~0ULL), "18.4E");
	CHECK(units__exact(B, 0), "0");
	CHECK(units__exact(B, 999), "999");
	CHECK(units__exact(B, 1000), "1,000");
	CHECK(units__exact(B, ~0ULL), "18,446,744,073,709,551,615");
}

static void bytes(void **state)
{
	CHECK(units__bytes(B, 0), "0");
	CHECK(units__bytes(B, 1), "1 B");
	CHECK(units__bytes(B, 1023), "1023 B");
	CHECK(units__bytes(B, 1024), "1.00 KiB");
	CHECK(units__bytes(B, 1024 * 1024 - 1), "1.00 MiB");
	CHECK(units__bytes(B, 64 * GIB), "64.0 GiB");
	CHECK(units__bytes(B, 1023 * GIB), "1023 GiB");
	CHECK(units__bytes(B, 1024 * GIB), "1.00 TiB");
	CHECK(units__bytes(B, ~0ULL), "16.0 EiB");
}

static void durations(void **state)
{
	CHECK(units__duration(B, 0, TEXT_UTF8), "0");
	CHECK(units__duration(B, 999, TEXT_UTF8), "999 ns");
	CHECK(units__duration(B, 1000, TEXT_UTF8), "1.00 µs");
	CHECK(units__duration(B, 12345, TEXT_ASCII), "12.3 us");
	CHECK(units__duration(B, 999499, TEXT_UTF8), "999 µs");
	CHECK(units__duration(B, 999500, TEXT_UTF8), "1.00 ms");
	CHECK(units__duration(B, 1234567890, TEXT_UTF8), "1.23 s");
	CHECK(units__duration(B, 275 * SECOND_NS, TEXT_UTF8), "275 s");
	CHECK(units__duration(B, 600 * SECOND_NS, TEXT_UTF8), "10.0 min");
	CHECK(units__duration(B, 36000 * SECOND_NS, TEXT_UTF8), "10.0 h");
	CHECK(units__duration(B, ~0ULL, TEXT_UTF8), "5124096 h");
}

static void percents_hide_nothing(void **state)
{
	CHECK(units__percent(B, 0), "0 %");
	CHECK(units__percent(B, 1e-12), "<0.01 %");
	CHECK(units__percent(B, 0.00012), "0.01 %");
	CHECK(units__percent(B, 0.5), "50.0 %");
	CHECK(units__percent(B, 0.9994), "99.9 %");
	CHECK(units__percent(B, 0.99951), ">99.9 %");
	CHECK(units__percent(B, 0.999999999), ">99.9 %");
	CHECK(units__percent(B, 1), "100 %");
	CHECK(units__percent(B, 1.000001), ">100 %");
	CHECK(units__percent(B, 1.5), "150 %");
}

static void rates(void **state)
{
	CHECK(units__per_second(B, 0), "0");
	CHECK(units__per_second(B, 0.001), "<0.01/s");
	CHECK(units__per_second(B, 3.2), "3.20/s");
	CHECK(units__per_second(B, 1234), "1.23k/s");
	CHECK(units__bytes_per_second(B, 64.0 * GIB), "64.0 GiB/s");
	CHECK(units__number(B, 4), "4.00");
	CHECK(units__number(B, 1600), "1600");
	CHECK(units__number(B, 0.001), "<0.01");
}

static void absent_values_differ_from_zero(void **state)
{
	struct iovab_value v = { IOVAB_VALUE_KNOWN, 0 };
	struct iovab_ratio r = { IOVAB_VALUE_NOT_MEASURED, 0.5 };

	CHECK(units__value(B, v, UNITS_BYTES, TEXT_UTF8), "0");
	v.state = IOVAB_VALUE_UNKNOWN;
	CHECK(units__value(B, v, UNITS_BYTES, TEXT_UTF8), "?");
	v.state = IOVAB_VALUE_NOT_MEASURED;
	CHECK(units__value(B, v, UNITS_COUNT, TEXT_UTF8), "-");
	CHECK(units__ratio_percent(B, r), "-");
	r.state = IOVAB_VALUE_UNKNOWN;
	CHECK(units__ratio_percent(B, r), "?");
	r.state = IOVAB_VALUE_KNOWN;
	CHECK(units__ratio_percent(B, r), "50.0 %");
	v = (struct iovab_value){ IOVAB_VALUE_KNOWN, 4194304 };
	CHECK(units__value(B, v, UNITS_ID, TEXT_UTF8), "4194304");
}

static void every_figure_has_a_label(void **state)
{
	enum iovab_figure f;

	for (f = 0; f < IOVAB_FIGURES; f++)
		assert_true(strlen(units__figure_label(f)) > 0);
	assert_int_equal(units__figure_kind(IOVAB_FIG_DIRTY_BYTES), UNITS_BYTES);
	assert_int_equal(units__figure_kind(IOVAB_FIG_WINDOWS), UNITS_COUNT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plain_names_stay),
		cmocka_unit_test(controls_are_escaped),
		cmocka_unit_test(c1_controls_are_escaped),
		cmocka_unit_test(bidi_and_invisible_are_escaped),
		cmocka_unit_test(invalid_utf8_is_escaped),
		cmocka_unit_test(escapes_are_never_cut),
		cmocka_unit_test(fields_end_where_they_end),
		cmocka_unit_test(random_bytes_come_out_harmless),
		cmocka_unit_test(decode_agrees_with_the_c_library),
		cmocka_unit_test(fit_pads_and_cuts),
		cmocka_unit_test(charset_is_that_of_the_locale),
		cmocka_unit_test(flow_breaks_between_words),
		cmocka_unit_test(counts),
		cmocka_unit_test(bytes),
		cmocka_unit_test(durations),
		cmocka_unit_test(percents_hide_nothing),
		cmocka_unit_test(rates),
		cmocka_unit_test(absent_values_differ_from_zero),
		cmocka_unit_test(every_figure_has_a_label),
	};

	if (!setlocale(LC_ALL, "C.UTF-8")) {
		fprintf(stderr, "test_text: the locale C.UTF-8 is missing\n");
		return 1;
	}
	return cmocka_run_group_tests_name("text", tests, NULL, NULL);
}
