/* completion.c - see completion.h. */
#include "console/completion.h"

#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cjson/cJSON.h>

/* The line waits for no slow server. */
#define ANSWER_MS 500
#define COLUMN_GAP 2

/* The server's answer as JSON, to be freed; NULL: none in time. */
static cJSON *ask(struct console_client *client, const char *line, size_t len, size_t cursor)
{
    struct buf payload = {0};
    struct frame frame;
    struct error err;
    cJSON *answer = NULL;
    uint32_t id;

    put_le32(buf_reserve(&payload, 4), (uint32_t)cursor);
    payload.len += 4;
    buf_append(&payload, line, len);
    if (client->fd != -1 &&
        console_client_send(client, FRAME_COMPLETE, payload.data, payload.len, &id, &err) == 0) {
        while (console_client_receive(client, ANSWER_MS, &frame, &err) == 1) {
            if (frame.id != id)
                continue;
            answer = cJSON_ParseWithLength((const char *)frame.payload, frame.len);
            break;
        }
    }
    buf_destroy(&payload);
    return answer;
}

/* How many bytes all items begin with in common. */
static size_t common_bytes(const cJSON *items)
{
    const char *first = items->child->valuestring;
    size_t common = strlen(first);

    for (const cJSON *item = items->child->next; item != NULL; item = item->next) {
        size_t i = 0;

        while (i < common && item->valuestring[i] == first[i])
            i++;
        common = i;
    }
    while (common > 0 && ((unsigned char)first[common] & 0xc0) == 0x80)
        common--; /* not within a character */
    return common;
}

/* All items in columns, below the line. */
static void list_items(const cJSON *items)
{
    struct winsize window = {.ws_col = 80};
    size_t widest = 0, columns, at = 0;

    ioctl(STDOUT_FILENO, TIOCGWINSZ, &window);
    for (const cJSON *item = items->child; item != NULL; item = item->next)
        widest = TIDE_MAX(widest, strlen(item->valuestring));
    columns = TIDE_MAX(window.ws_col / (widest + COLUMN_GAP), (size_t)1);
    putchar('\n');
    for (const cJSON *item = items->child; item != NULL; item = item->next) {
        bool last = ++at % columns == 0 || item->next == NULL;

        printf("%-*s%s", last ? 0 : (int)(widest + COLUMN_GAP), item->valuestring,
               last ? "\n" : "");
    }
    fflush(stdout);
}

static bool is_list_of_texts(const cJSON *items)
{
    if (!cJSON_IsArray(items) || items->child == NULL)
        return false;
    for (const cJSON *item = items->child; item != NULL; item = item->next) {
        if (!cJSON_IsString(item))
            return false;
    }
    return true;
}

static unsigned char apply(EditLine *editor, const cJSON *answer, size_t cursor)
{
    const cJSON *from = cJSON_GetObjectItem(answer, "from");
    const cJSON *items = cJSON_GetObjectItem(answer, "items");
    size_t typed, common;
    char *text;

    if (!cJSON_IsNumber(from) || !is_list_of_texts(items) || from->valuedouble < 0 ||
        from->valuedouble > (double)cursor)
        return CC_REFRESH_BEEP;
    typed = cursor - (size_t)from->valuedouble;
    common = common_bytes(items);
    if (common > typed) {
        text = mem_dup(items->child->valuestring + typed, common - typed);
        el_insertstr(editor, text);
        mem_free(text);
        return CC_REFRESH;
    }
    if (items->child->next == NULL)
        return CC_REFRESH; /* it stands there already */
    list_items(items);
    return CC_REDISPLAY;
}

unsigned char completion_run(EditLine *editor, struct console_client *client)
{
    const LineInfo *line = el_line(editor);
    size_t len = (size_t)(line->lastchar - line->buffer);
    size_t cursor = (size_t)(line->cursor - line->buffer);
    cJSON *answer = ask(client, line->buffer, len, cursor);
    unsigned char result = answer != NULL ? apply(editor, answer, cursor) : CC_REFRESH_BEEP;

    cJSON_Delete(answer);
    return result;
}
