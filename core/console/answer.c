/* answer.c - see answer.h. */
#include "console/answer.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* Set by the handler: the one thing of this program that signals reach. */
static volatile sig_atomic_t interrupts;

static void note_interrupt(int number)
{
    (void)number;
    interrupts = 1;
}

void answer_take_interrupts(void)
{
    struct sigaction action = {.sa_handler = note_interrupt};

    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL); /* without SA_RESTART: reads end */
}

bool answer_interrupted(void)
{
    bool was = interrupts != 0;

    interrupts = 0;
    return was;
}

static bool wants_colour(FILE *out)
{
    const char *terminal = getenv("TERM");

    return isatty(fileno(out)) && getenv("NO_COLOR") == NULL && terminal != NULL &&
           strcmp(terminal, "dumb") != 0;
}

static void print_error(const char *text, size_t len)
{
    bool colour = wants_colour(stderr);

    fflush(stdout);
    fprintf(stderr, "%s%.*s%s%s", colour ? "\033[31m" : "", (int)len, text, colour ? "\033[0m" : "",
            len > 0 && text[len - 1] == '\n' ? "" : "\n");
}

static bool is_long(const char *text, size_t len)
{
    struct winsize window;
    size_t lines = 0;

    if (!isatty(STDOUT_FILENO) || ioctl(STDOUT_FILENO, TIOCGWINSZ, &window) != 0)
        return false;
    for (size_t i = 0; i < len; i++)
        lines += text[i] == '\n';
    return lines + 1 > window.ws_row;
}

/* Through $PAGER; less shows what fits on the screen without asking. */
static bool print_paged(const char *text, size_t len)
{
    const char *pager = getenv("PAGER");
    FILE *pipe;

    if (pager == NULL || pager[0] == '\0')
        pager = "less -FRX 2>/dev/null || cat";
    fflush(stdout);
    pipe = popen(pager, "w");
    if (pipe == NULL)
        return false;
    fwrite(text, 1, len, pipe); /* a pager that was left early takes no more: that is fine */
    return pclose(pipe) == 0;
}

static void print_text(const char *text, size_t len, bool paged)
{
    if (len == 0 || (paged && is_long(text, len) && print_paged(text, len)))
        return;
    fwrite(text, 1, len, stdout);
    if (text[len - 1] != '\n')
        putchar('\n');
    fflush(stdout);
}

/* The text for people, and the JSON behind it. */
static void print_answer(const struct frame *frame, bool json, bool paged)
{
    const char *text = (const char *)frame->payload + 4;
    size_t text_len, rest;

    if (frame->len < 4)
        return;
    rest = frame->len - 4;
    text_len = TIDE_MIN((size_t)get_le32(frame->payload), rest);
    if (json)
        print_text(text + text_len, rest - text_len, false);
    if (frame->kind != FRAME_DONE)
        print_error(text, text_len);
    else if (!json)
        print_text(text, text_len, paged);
}

enum answer_outcome answer_get(struct console_client *client, const char *text, size_t len,
                               bool json, bool paged, struct error *err)
{
    struct frame frame;
    uint32_t id;

    answer_interrupted(); /* an old one */
    if (console_client_send(client, FRAME_EVAL, text, len, &id, err) != 0)
        return err->code == ERR_LIMIT ? (print_error(err->text, strlen(err->text)), ANSWER_FAILED)
                                      : ANSWER_LOST;
    for (;;) {
        int got = console_client_receive(client, -1, &frame, err);

        if (got == -1)
            return ANSWER_LOST;
        if (got == 0) {
            if (answer_interrupted())
                console_client_cancel(client, id);
            continue;
        }
        if (frame.id != id)
            continue; /* the rest of an answer that nobody waits for */
        if (frame.kind == FRAME_INCOMPLETE)
            return ANSWER_INCOMPLETE;
        if (frame.kind == FRAME_PART) {
            fwrite(frame.payload, 1, frame.len, json ? stderr : stdout);
            fflush(stdout);
            continue;
        }
        print_answer(&frame, json, paged);
        return frame.kind == FRAME_DONE ? ANSWER_DONE : ANSWER_FAILED;
    }
}
