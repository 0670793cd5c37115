#include "http/media_type.h"

static struct http_text trim(struct http_text text)
{
    while (text.len > 0 && (*text.at == ' ' || *text.at == '\t')) {
        text.at++;
        text.len--;
    }
    while (text.len > 0 && (text.at[text.len - 1] == ' ' || text.at[text.len - 1] == '\t'))
        text.len--;
    return text;
}

/* What stands before `mark` (outside quotes); *text moves behind it, or becomes empty. */
static struct http_text cut(struct http_text *text, char mark)
{
    struct http_text part = *text;
    bool quoted = false;

    for (size_t i = 0; i < text->len; i++) {
        if (text->at[i] == '"')
            quoted = !quoted;
        if (text->at[i] != mark || quoted)
            continue;
        part.len = i;
        text->at += i + 1;
        text->len -= i + 1;
        return trim(part);
    }
    text->at += text->len;
    text->len = 0;
    return trim(part);
}

void media_type_parse(struct http_text text, struct media_type *type)
{
    type->name = cut(&text, ';');
    type->rest = text;
}

struct http_text media_type_parameter(const struct media_type *type, const char *name)
{
    struct http_text rest = type->rest;

    while (rest.len > 0) {
        struct http_text value = cut(&rest, ';'), key = cut(&value, '=');

        if (!http_text_is(key, name))
            continue;
        value = trim(value);
        if (value.len >= 2 && value.at[0] == '"' && value.at[value.len - 1] == '"')
            value = (struct http_text){value.at + 1, value.len - 2};
        return value;
    }
    return (struct http_text){0};
}

bool media_type_next(struct http_text *list, struct media_type *type)
{
    while (list->len > 0) {
        struct http_text element = cut(list, ',');

        if (element.len == 0)
            continue;
        media_type_parse(element, type);
        return true;
    }
    return false;
}

bool media_type_is(const struct http_head *head, const char *name)
{
    const struct http_field *field = http_head_field(head, "Content-Type");
    struct media_type type;

    if (field == NULL)
        return false;
    media_type_parse(field->value, &type);
    return http_text_is(type.name, name);
}
