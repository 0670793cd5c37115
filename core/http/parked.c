/* parked.c - see parked.h. */
#include "http/parked.h"

#include "http/connection.h"
#include "http/exchange.h"
#include "http/worker.h"

/* Longer than any disk should take: the sender is told that it may not be kept. */
#define PARKED_MAX_NS INT64_C(30000000000)

static void fail(struct exchange *exchange, const struct error *err)
{
    http_reply_reset(&exchange->reply);
    http_reply_failure(&exchange->reply, err);
}

/* True when the answer need not wait any more. */
static bool is_settled(struct worker *worker, struct exchange *exchange, bool give_up)
{
    struct store *store = http_site_store(worker->site);
    struct error err;
    int durable = store_is_durable(store, &exchange->reply.durable, &err);

    if (durable == 0 && (give_up || worker->now_ns - exchange->parked_ns > PARKED_MAX_NS))
        durable = error_set(&err, ERR_TIMEOUT,
                            "the samples are stored, but the log is not on disk yet: send again");
    if (durable < 0)
        fail(exchange, &err);
    return durable != 0;
}

static void await_news(struct parked *parked)
{
    __atomic_store_n(&parked->waiting, 1, __ATOMIC_SEQ_CST);
}

bool parked_wants_news(struct parked *parked)
{
    /* The log moved before this load; who parks stores before it looks at the log again. */
    return __atomic_load_n(&parked->waiting, __ATOMIC_SEQ_CST) != 0 &&
           __atomic_exchange_n(&parked->waiting, 0, __ATOMIC_SEQ_CST) != 0;
}

bool parked_put(struct worker *worker, struct exchange *exchange)
{
    const struct append_ticket *ticket = &exchange->reply.durable;
    struct parked *parked = &worker->parked;

    if (append_ticket_is_empty(ticket))
        return false;
    exchange->parked_ns = worker->now_ns;
    await_news(parked);
    if (parked->first == NULL && is_settled(worker, exchange, false))
        return false;
    exchange->next_parked = NULL;
    if (parked->first == NULL)
        parked->first = exchange;
    else
        parked->last->next_parked = exchange;
    parked->last = exchange;
    return true;
}

void parked_release(struct worker *worker, bool all)
{
    struct parked *parked = &worker->parked;

    if (parked->first != NULL)
        await_news(parked);
    while (parked->first != NULL && is_settled(worker, parked->first, all)) {
        struct exchange *exchange = parked->first;

        parked->first = exchange->next_parked;
        exchange->reply.durable = (struct append_ticket){0};
        connection_job_done(exchange->connection); /* may run the next request, and park it */
    }
    if (parked->first == NULL)
        __atomic_store_n(&parked->waiting, 0, __ATOMIC_SEQ_CST);
}
