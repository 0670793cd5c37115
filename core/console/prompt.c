/* prompt.c - see prompt.h. The line editor is libedit. */
#include "console/prompt.h"

#include <errno.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <histedit.h>

#include "base/mem.h"
#include "console/answer.h"
#include "console/completion.h"

#define HISTORY_LINES 2000
/* How long a server that restarts is waited for. */
#define RECONNECT_TRIES 40
#define RECONNECT_PAUSE_NS 250000000

/* A console on a terminal. */
struct prompt {
    const struct prompt_options *options;
    struct console_client client;
    EditLine *editor;
    History *history;
    char history_path[4096]; /* "": none */
    struct buf text;         /* lines of an unfinished chunk */
    char label[200];
};

/* --- history -------------------------------------------------------------------------------------
 */

/* $XDG_STATE_HOME/tidemark/console_history; folders are made. */
static void find_history(struct prompt *prompt)
{
    const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
    char folder[4000];
    int len;

    if (state != NULL && state[0] == '/')
        len = snprintf(folder, sizeof(folder), "%s/tidemark", state);
    else if (home != NULL)
        len = snprintf(folder, sizeof(folder), "%s/.local/state/tidemark", home);
    else
        return;
    if (len < 0 || (size_t)len >= sizeof(folder))
        return;
    for (char *slash = folder + 1; (slash = strchr(slash, '/')) != NULL; slash++) {
        *slash = '\0';
        mkdir(folder, 0700);
        *slash = '/';
    }
    if (mkdir(folder, 0700) == 0 || errno == EEXIST)
        snprintf(prompt->history_path, sizeof(prompt->history_path), "%s/console_history", folder);
}

static void open_history(struct prompt *prompt)
{
    HistEvent event;

    umask(0077); /* what was typed may hold secrets */
    find_history(prompt);
    prompt->history = history_init();
    history(prompt->history, &event, H_SETSIZE, HISTORY_LINES);
    history(prompt->history, &event, H_SETUNIQUE, 1);
    if (prompt->history_path[0] != '\0')
        history(prompt->history, &event, H_LOAD, prompt->history_path);
}

static void remember(struct prompt *prompt, const char *line)
{
    char *text = mem_dup(line, strcspn(line, "\n"));
    HistEvent event;

    history(prompt->history, &event, H_ENTER, text);
    mem_free(text);
    if (prompt->history_path[0] != '\0')
        history(prompt->history, &event, H_SAVE, prompt->history_path);
}

/* --- the editor ----------------------------------------------------------------------------------
 */

static const char *show_label(EditLine *editor)
{
    struct prompt *prompt;

    el_get(editor, EL_CLIENTDATA, &prompt);
    if (prompt->text.len > 0)
        snprintf(prompt->label, sizeof(prompt->label), "%8s> ", "...");
    else if (prompt->client.fd == -1)
        snprintf(prompt->label, sizeof(prompt->label), "tidemark (no server)> ");
    else if (prompt->client.state[0] != '\0')
        snprintf(prompt->label, sizeof(prompt->label), "tidemark %s (%s)> ", prompt->client.version,
                 prompt->client.state);
    else
        snprintf(prompt->label, sizeof(prompt->label), "tidemark %s> ", prompt->client.version);
    return prompt->label;
}

/* Tab: the server knows what could stand there. */
static unsigned char complete(EditLine *editor, int key)
{
    struct prompt *prompt;

    (void)key;
    el_get(editor, EL_CLIENTDATA, &prompt);
    return completion_run(editor, &prompt->client);
}

static void open_editor(struct prompt *prompt)
{
    prompt->editor = el_init("tidemark", stdin, stdout, stderr);
    el_set(prompt->editor, EL_CLIENTDATA, prompt);
    el_set(prompt->editor, EL_PROMPT, show_label);
    el_set(prompt->editor, EL_EDITOR, "emacs");
    el_set(prompt->editor, EL_SIGNAL, 1);
    el_set(prompt->editor, EL_HIST, history, prompt->history);
    el_set(prompt->editor, EL_ADDFN, "tide-complete", "Complete by the server", complete);
    el_set(prompt->editor, EL_BIND, "^I", "tide-complete", NULL);
    el_set(prompt->editor, EL_BIND, "^R", "em-inc-search-prev", NULL);
    el_source(prompt->editor, NULL);
}

/* --- lines ---------------------------------------------------------------------------------------
 */

/* A server that restarts comes back in a moment. */
static bool reconnect(struct prompt *prompt)
{
    struct timespec pause = {.tv_nsec = RECONNECT_PAUSE_NS};
    struct error err;

    answer_interrupted();
    for (int i = 0; i < RECONNECT_TRIES && !answer_interrupted(); i++) {
        if (console_client_open(&prompt->client, prompt->options->path, &err) == 0)
            return true;
        nanosleep(&pause, NULL);
    }
    fprintf(stderr, "%s\n", err.text);
    return false;
}

/* What was evaluated may have happened: it is not sent again by itself. */
static void lost(struct prompt *prompt)
{
    fprintf(stderr, "the connection was lost; the session's globals are gone\n");
    if (reconnect(prompt))
        fprintf(stderr, "connected again to %s\n", prompt->client.version);
}

static void run_text(struct prompt *prompt)
{
    struct error err;
    enum answer_outcome outcome;

    if (prompt->client.fd == -1 && !reconnect(prompt)) {
        prompt->text.len = 0;
        return;
    }
    outcome = answer_get(&prompt->client, (const char *)prompt->text.data, prompt->text.len,
                         prompt->options->json, true, &err);
    if (outcome == ANSWER_INCOMPLETE)
        return; /* the next line is put behind */
    prompt->text.len = 0;
    if (outcome == ANSWER_LOST)
        lost(prompt);
}

static bool is_blank(const char *line)
{
    return line[strspn(line, " \t\r\n")] == '\0';
}

static void take_line(struct prompt *prompt, const char *line)
{
    bool more = prompt->text.len > 0;

    if (is_blank(line) && !more)
        return;
    if (!is_blank(line))
        remember(prompt, line);
    buf_puts(&prompt->text, line);
    run_text(prompt);
}

static void read_lines(struct prompt *prompt)
{
    for (;;) {
        int len = 0;
        const char *line = el_gets(prompt->editor, &len);

        bool interrupted = answer_interrupted();

        if (interrupted)
            prompt->text.len = 0; /* Ctrl-C: forget what was typed */
        if (line == NULL || len <= 0) {
            if (!interrupted && !(len == -1 && errno == EINTR))
                break;
            putchar('\n');
            el_reset(prompt->editor);
            continue;
        }
        take_line(prompt, line);
    }
    putchar('\n');
}

int prompt_interact(const struct prompt_options *options)
{
    struct prompt prompt = {.options = options};
    struct error err;

    setlocale(LC_CTYPE, "");
    if (console_client_open(&prompt.client, options->path, &err) != 0) {
        fprintf(stderr, "tidemark: %s\n", err.text);
        return -1;
    }
    answer_take_interrupts();
    open_history(&prompt);
    open_editor(&prompt);
    printf("Connected to Tidemark %s. help() explains, Tab completes, Ctrl-D leaves.\n",
           prompt.client.version);
    read_lines(&prompt);
    el_end(prompt.editor);
    history_end(prompt.history);
    buf_destroy(&prompt.text);
    console_client_close(&prompt.client);
    return 0;
}

/* --- without a terminal --------------------------------------------------------------------------
 */

int prompt_eval(const struct prompt_options *options, const char *text, size_t len)
{
    struct console_client client;
    struct error err;
    enum answer_outcome outcome = ANSWER_LOST;

    answer_take_interrupts();
    if (console_client_open(&client, options->path, &err) == 0)
        outcome = answer_get(&client, text, len, options->json, false, &err);
    if (outcome == ANSWER_LOST)
        fprintf(stderr, "tidemark: %s\n", err.text);
    if (outcome == ANSWER_INCOMPLETE)
        fprintf(stderr, "tidemark: the input ends in the middle of a statement\n");
    console_client_close(&client);
    return outcome == ANSWER_DONE ? 0 : -1;
}

int prompt_pipe(const struct prompt_options *options)
{
    struct buf text = {0};
    int result = -1;

    for (;;) {
        size_t got = fread(buf_reserve(&text, 65536), 1, 65536, stdin);

        text.len += got;
        if (got == 0 || text.len > FRAME_REQUEST_MAX)
            break;
    }
    if (ferror(stdin))
        fprintf(stderr, "tidemark: standard input cannot be read\n");
    else
        result = prompt_eval(options, (const char *)text.data, text.len);
    buf_destroy(&text);
    return result;
}
