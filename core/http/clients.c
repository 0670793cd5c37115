#include "http/clients.h"

#include "base/mem.h"
#include "base/thread.h"

#define BUCKETS 1024

struct client {
    struct client *next;
    uint64_t number;
    size_t connections; /* guarded by clients_lock */
    size_t queries;     /* atomic */
};

struct clients {
    struct lock clients_lock; /* guards the rest */
    struct client *buckets[BUCKETS];
};

struct clients *clients_new(void)
{
    struct clients *clients = mem_zalloc(1, sizeof(*clients));

    lock_init(&clients->clients_lock);
    return clients;
}

void clients_free(struct clients *clients)
{
    if (clients == NULL)
        return;
    for (size_t i = 0; i < BUCKETS; i++)
        TIDE_ASSERT(clients->buckets[i] == NULL);
    lock_destroy(&clients->clients_lock);
    mem_free(clients);
}

/* The link that points to the address's client, or to NULL at the end of its bucket. */
static struct client **find_locked(struct clients *clients, uint64_t number)
{
    struct client **link = &clients->buckets[number % BUCKETS];

    while (*link != NULL && (*link)->number != number)
        link = &(*link)->next;
    return link;
}

struct client *clients_enter(struct clients *clients, uint64_t number, size_t most)
{
    struct client **link, *client;

    lock_acquire(&clients->clients_lock);
    link = find_locked(clients, number);
    if (*link == NULL) {
        *link = mem_zalloc(1, sizeof(**link));
        (*link)->number = number;
    }
    client = *link;
    if (most == 0 || client->connections < most)
        client->connections++;
    else
        client = NULL;
    lock_release(&clients->clients_lock);
    return client;
}

void clients_leave(struct clients *clients, struct client *client)
{
    if (client == NULL)
        return;
    lock_acquire(&clients->clients_lock);
    if (--client->connections == 0) {
        *find_locked(clients, client->number) = client->next;
        mem_free(client);
    }
    lock_release(&clients->clients_lock);
}

bool client_begin_query(struct client *client, size_t most)
{
    if (__atomic_add_fetch(&client->queries, 1, __ATOMIC_RELAXED) <= most)
        return true;
    client_end_query(client);
    return false;
}

void client_end_query(struct client *client)
{
    __atomic_sub_fetch(&client->queries, 1, __ATOMIC_RELAXED);
}
