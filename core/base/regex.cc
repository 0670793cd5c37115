/* regex.cc - see regex.h. RE2 behind a C face. */
#include "base/regex.h"

#include <atomic>
#include <cstring>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include <re2/re2.h>

#include "base/mem.h"

struct regex {
    std::unique_ptr<re2::RE2> compiled;
    std::string prefix; /* of all that match; may be empty */
    std::vector<std::string> literals;
    std::vector<const char *> literal_texts;
    std::atomic<unsigned> references{1};
};

struct regex_cache {
    std::mutex mutex;
    size_t max;
    std::list<std::pair<std::string, regex *>> recent; /* newest first */
    std::unordered_map<std::string, std::list<std::pair<std::string, regex *>>::iterator>
        by_pattern;
};

/* "a|b" splits into literals when no other special character occurs. */
static bool split_literals(const std::string &pattern, std::vector<std::string> *out)
{
    if (pattern.find_first_of("\\.+*?()[]{}^$") != std::string::npos)
        return false;
    size_t begin = 0;
    for (;;) {
        size_t bar = pattern.find('|', begin);
        out->push_back(pattern.substr(begin, bar == std::string::npos ? bar : bar - begin));
        if (bar == std::string::npos)
            return true;
        begin = bar + 1;
    }
}

/* The ASCII text that all matches begin with: a selector's pattern is asked about every value of a
 * label, and this tells most of them at once. Alternatives anywhere: none. */
static std::string literal_prefix(const std::string &pattern)
{
    size_t end = 0;

    if (pattern.find('|') != std::string::npos)
        return "";
    while (end < pattern.size() && static_cast<unsigned char>(pattern[end]) < 0x80 &&
           std::string("\\.+*?()[]{}^$").find(pattern[end]) == std::string::npos)
        end++;
    if (end != 0 && end < pattern.size() &&
        std::string("*?{").find(pattern[end]) != std::string::npos)
        end--;
    return pattern.substr(0, end);
}

/* \C matches a single byte in RE2 and is refused by Go: it could cut a character in two. */
static bool has_byte_escape(const std::string &pattern)
{
    for (size_t i = 0; i + 1 < pattern.size(); i++) {
        if (pattern[i] != '\\')
            continue;
        if (pattern[i + 1] == 'C')
            return true;
        i++;
    }
    return false;
}

/* Go's words for what RE2 found. */
static const char *error_text(re2::RE2::ErrorCode code)
{
    switch (code) {
    case re2::RE2::ErrorBadEscape:
        return "invalid escape sequence";
    case re2::RE2::ErrorBadCharClass:
        return "invalid character class";
    case re2::RE2::ErrorBadCharRange:
        return "invalid character class range";
    case re2::RE2::ErrorMissingBracket:
        return "missing closing ]";
    case re2::RE2::ErrorMissingParen:
        return "missing closing )";
    case re2::RE2::ErrorUnexpectedParen:
        return "unexpected )";
    case re2::RE2::ErrorTrailingBackslash:
        return "trailing backslash at end of expression";
    case re2::RE2::ErrorRepeatArgument:
        return "missing argument to repetition operator";
    case re2::RE2::ErrorRepeatSize:
        return "invalid repeat count";
    case re2::RE2::ErrorRepeatOp:
        return "invalid nested repetition operator";
    case re2::RE2::ErrorBadPerlOp:
        return "invalid or unsupported Perl syntax";
    case re2::RE2::ErrorBadUTF8:
        return "invalid UTF-8";
    case re2::RE2::ErrorBadNamedCapture:
        return "invalid named capture";
    case re2::RE2::ErrorPatternTooLarge:
        return "expression too large";
    default:
        return "internal error";
    }
}

static regex *compile(const std::string &pattern, struct error *err)
{
    re2::RE2::Options options;
    options.set_dot_nl(true);
    options.set_log_errors(false);
    options.set_max_mem(8 << 20);
    auto result = std::make_unique<regex>();
    result->compiled = std::make_unique<re2::RE2>(pattern, options);
    if (!result->compiled->ok()) {
        error_set(err, ERR_INVALID, "error parsing regexp: %s: `%s`",
                  error_text(result->compiled->error_code()),
                  result->compiled->error_arg().c_str());
        return nullptr;
    }
    if (has_byte_escape(pattern)) {
        error_set(err, ERR_INVALID, "error parsing regexp: invalid escape sequence: `\\C`");
        return nullptr;
    }
    result->prefix = literal_prefix(pattern);
    if (split_literals(pattern, &result->literals)) {
        for (const std::string &text : result->literals)
            result->literal_texts.push_back(text.c_str());
    } else {
        result->literals.clear();
    }
    return result.release();
}

static regex *cache_find(regex_cache *cache, const std::string &pattern)
{
    std::lock_guard<std::mutex> guard(cache->mutex);
    auto found = cache->by_pattern.find(pattern);

    if (found == cache->by_pattern.end())
        return nullptr;
    cache->recent.splice(cache->recent.begin(), cache->recent, found->second);
    return regex_ref(found->second->second);
}

static void cache_add(regex_cache *cache, const std::string &pattern, regex *regex)
{
    std::lock_guard<std::mutex> guard(cache->mutex);

    if (cache->by_pattern.count(pattern) != 0)
        return;
    cache->recent.emplace_front(pattern, regex_ref(regex));
    cache->by_pattern[pattern] = cache->recent.begin();
    if (cache->recent.size() > cache->max) {
        cache->by_pattern.erase(cache->recent.back().first);
        regex_unref(cache->recent.back().second);
        cache->recent.pop_back();
    }
}

extern "C" struct regex *regex_compile(struct regex_cache *cache, const char *pattern, size_t len,
                                       struct error *err)
{
    std::string text(pattern, len);
    regex *result = cache != nullptr ? cache_find(cache, text) : nullptr;

    if (result != nullptr)
        return result;
    result = compile(text, err);
    if (result != nullptr && cache != nullptr)
        cache_add(cache, text, result);
    return result;
}

extern "C" struct regex *regex_ref(struct regex *regex)
{
    regex->references.fetch_add(1, std::memory_order_relaxed);
    return regex;
}

extern "C" void regex_unref(struct regex *regex)
{
    if (regex != nullptr && regex->references.fetch_sub(1, std::memory_order_acq_rel) == 1)
        delete regex;
}

extern "C" bool regex_matches(const struct regex *regex, const char *text, size_t len)
{
    re2::StringPiece piece(text, len);
    const std::string &prefix = regex->prefix;

    if (len < prefix.size() || memcmp(text, prefix.data(), prefix.size()) != 0)
        return false;
    return regex->compiled->Match(piece, 0, len, re2::RE2::ANCHOR_BOTH, nullptr, 0);
}

extern "C" size_t regex_cost(const struct regex *regex)
{
    return static_cast<size_t>(regex->compiled->ProgramSize());
}

extern "C" int regex_groups(const struct regex *regex)
{
    return regex->compiled->NumberOfCapturingGroups();
}

/* The group that a template name means: a number, or a named group; -1 for neither. */
static int find_group(const struct regex *regex, const std::string &name)
{
    if (!name.empty() && name.size() < 9 &&
        name.find_first_not_of("0123456789") == std::string::npos)
        return std::stoi(name);
    const std::map<std::string, int> &groups = regex->compiled->NamedCapturingGroups();
    auto found = groups.find(name);
    return found != groups.end() ? found->second : -1;
}

static bool is_word(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

/* Go's Regexp.Expand: $name, ${name}, $$; a malformed reference stays as it is. */
static std::string expand(const struct regex *regex, const std::vector<re2::StringPiece> &groups,
                          const std::string &text)
{
    std::string out;

    for (size_t i = 0; i < text.size(); i++) {
        if (text[i] != '$') {
            out += text[i];
            continue;
        }
        if (i + 1 < text.size() && text[i + 1] == '$') {
            out += '$';
            i++;
            continue;
        }
        bool braced = i + 1 < text.size() && text[i + 1] == '{';
        size_t begin = i + (braced ? 2 : 1);
        size_t end = begin;
        while (end < text.size() && is_word(text[end]))
            end++;
        if (end == begin || (braced && (end == text.size() || text[end] != '}'))) {
            out += '$';
            continue;
        }
        int group = find_group(regex, text.substr(begin, end - begin));
        if (group >= 0 && static_cast<size_t>(group) < groups.size())
            out.append(groups[static_cast<size_t>(group)].data(),
                       groups[static_cast<size_t>(group)].size());
        i = braced ? end : end - 1;
    }
    return out;
}

extern "C" bool regex_expand(const struct regex *regex, const char *text, size_t len,
                             const char *template_text, size_t template_len, char **out,
                             size_t *out_len)
{
    re2::StringPiece piece(text, len);
    std::vector<re2::StringPiece> groups(static_cast<size_t>(regex_groups(regex)) + 1);

    if (!regex->compiled->Match(piece, 0, len, re2::RE2::ANCHOR_BOTH, groups.data(),
                                static_cast<int>(groups.size())))
        return false;
    std::string expanded = expand(regex, groups, std::string(template_text, template_len));
    *out = mem_dup(expanded.data(), expanded.size());
    *out_len = expanded.size();
    return true;
}

extern "C" const char *const *regex_literals(const struct regex *regex, size_t *count)
{
    *count = regex->literal_texts.size();
    return *count != 0 ? regex->literal_texts.data() : nullptr;
}

extern "C" struct regex_cache *regex_cache_new(size_t max)
{
    regex_cache *cache = new regex_cache();

    cache->max = max;
    return cache;
}

extern "C" void regex_cache_free(struct regex_cache *cache)
{
    if (cache == nullptr)
        return;
    for (auto &entry : cache->recent)
        regex_unref(entry.second);
    delete cache;
}
