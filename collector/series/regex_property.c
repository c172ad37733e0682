/*
 * regex_property.c - "\p{name}": the names Go knows, in PCRE2's spelling.
 *
 * As in Go, case, blanks, '_' and '-' of a name do not matter, and \p{Greek} is the script
 * alone, not its extensions.  PCRE2 would take abbreviations of scripts, too, which Go does not
 * know.
 */
#include <string.h>

#include "collector/series/regex_parser.h"
#include "proto/base/utf8.h"

#define NAME_MAX_BYTES 40

static const struct {
    const char *name, *category;
} aliases[] = {
    {"any", "Any"},
    {"ascii", "ASCII"},
    {"casedletter", "L&"},
    {"closepunctuation", "Pe"},
    {"cntrl", "Cc"},
    {"combiningmark", "M"},
    {"connectorpunctuation", "Pc"},
    {"control", "Cc"},
    {"currencysymbol", "Sc"},
    {"dashpunctuation", "Pd"},
    {"decimalnumber", "Nd"},
    {"digit", "Nd"},
    {"enclosingmark", "Me"},
    {"finalpunctuation", "Pf"},
    {"format", "Cf"},
    {"initialpunctuation", "Pi"},
    {"lc", "L&"},
    {"letter", "L"},
    {"letternumber", "Nl"},
    {"lineseparator", "Zl"},
    {"lowercaseletter", "Ll"},
    {"mark", "M"},
    {"mathsymbol", "Sm"},
    {"modifierletter", "Lm"},
    {"modifiersymbol", "Sk"},
    {"nonspacingmark", "Mn"},
    {"number", "N"},
    {"openpunctuation", "Ps"},
    {"other", "C"},
    {"otherletter", "Lo"},
    {"othernumber", "No"},
    {"otherpunctuation", "Po"},
    {"othersymbol", "So"},
    {"paragraphseparator", "Zp"},
    {"privateuse", "Co"},
    {"punct", "P"},
    {"punctuation", "P"},
    {"separator", "Z"},
    {"spaceseparator", "Zs"},
    {"spacingmark", "Mc"},
    {"surrogate", "Cs"},
    {"symbol", "S"},
    {"titlecaseletter", "Lt"},
    {"unassigned", "Cn"},
    {"uppercaseletter", "Lu"},
};

static const char categories[] = " c cc cf cn co cs l ll lm lo lt lu m mc me mn n nd nl no p "
                                 "pc pd pe pf pi po ps s sc sk sm "
                                 "so z zl zp zs ";

static const char scripts_of_four_letters[] = " ahom cham kawi lisu modi newa thai toto ";

static bool is_word_of(const char *words, const char *word)
{
    size_t size = strlen(word);
    const char *at = strstr(words, word);
    while (at != NULL && (at[-1] != ' ' || at[size] != ' '))
        at = strstr(at + 1, word);
    return at != NULL;
}

/* Lower-case letters and digits alone; false for what no name has. */
static bool read_name(struct bytes name, char plain[NAME_MAX_BYTES + 1])
{
    size_t size = 0;
    for (size_t i = 0; i < name.size; i++) {
        uint8_t c = name.data[i];
        if (c == ' ' || c == '_' || c == '-')
            continue;
        if (c >= 'A' && c <= 'Z')
            c = (uint8_t)(c - 'A' + 'a');
        if (c < 'a' || c > 'z' || size == NAME_MAX_BYTES)
            return false;
        plain[size++] = (char)c;
    }
    plain[size] = '\0';
    return size > 0;
}

/* PCRE2's spelling, or NULL for a name that is none. */
static const char *spell(const char *name, bool fold, char text[NAME_MAX_BYTES + 4])
{
    size_t size = strlen(name);
    const char *category = NULL;

    for (size_t i = 0; i < sizeof aliases / sizeof aliases[0]; i++)
        if (strcmp(aliases[i].name, name) == 0)
            category = aliases[i].category;
    if (category == NULL && size <= 2 && is_word_of(categories, name))
        category = name;
    if (category != NULL) {
        /* The letters that are an upper, lower or title case of another.  (Lower-case ones that
         * have no other case are in it, too, which in Go (?i)\p{Lu} has not.) */
        bool cased = fold && (category[0] | 0x20) == 'l' && category[1] != '\0' &&
                     strchr("ultULT", category[1]) != NULL;
        return cased ? "L&" : category;
    }
    if (!(size >= 3 || strcmp(name, "yi") == 0) ||
        (size == 4 && !is_word_of(scripts_of_four_letters, name)) || !regex_knows_script(name))
        return NULL;
    memcpy(text, "sc:", 3);
    memcpy(text + 3, name, size + 1);
    return text;
}

int regex_read_property(struct regex_parser *parser, struct buf *out)
{
    const uint8_t *from = parser->at;
    bool negated = from[1] == 'P';
    char plain[NAME_MAX_BYTES + 1], text[NAME_MAX_BYTES + 4];
    struct bytes name;

    parser->at += 2;
    if (parser->at == parser->end)
        return regex_complain(parser, "invalid character class range", from, parser->at);
    if (*parser->at == '{') {
        const uint8_t *close = memchr(parser->at, '}', (size_t)(parser->end - parser->at));
        if (close == NULL)
            return regex_complain(parser, "invalid character class range", from, parser->end);
        name = (struct bytes){parser->at + 1, (size_t)(close - parser->at - 1)};
        parser->at = close + 1;
    } else {
        uint32_t code;
        name.data = parser->at;
        name.size = utf8_decode(parser->at, parser->end, &code);
        parser->at += name.size;
    }
    if (name.size > 0 && name.data[0] == '^') {
        negated = !negated;
        name.data++;
        name.size--;
    }
    const char *spelt = NULL;
    if (read_name(name, plain)) {
        bool assigned = strcmp(plain, "assigned") == 0;
        negated ^= assigned;
        spelt = assigned ? "Cn" : spell(plain, parser->flags.fold, text);
    }
    if (spelt == NULL)
        return regex_complain(parser, "invalid character class range", from, parser->at);
    buf_printf(out, "\\%c{%s}", negated ? 'P' : 'p', spelt);
    return 0;
}
