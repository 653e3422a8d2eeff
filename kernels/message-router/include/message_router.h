/* message_router.h - bounded priority queues between two tracts
 *
 * A router holds one queue per destination tract. Messages leave a queue by priority, the highest
 * first, and within a priority in the order in which they were accepted.
 *
 * Which door to take. Called once per message from Python, a foreign call each way costs about as
 * much as heapq needs for the whole job, so a native router gains next to nothing there, or loses.
 * From Python call route_messages_ffi and get_next_messages_ffi with 64 messages or more at a time,
 * which share the cost of the call; the calls for one message are for C, Rust and other hosts in
 * which a call is cheap.
 *
 * Threads. Every function but destroy_router may be called on one router from any number of
 * threads at once. Each call takes effect at one moment, a batch included: the messages of a batch
 * are neighbours in their queues.
 *
 * Memory is reserved by create_router; no later call allocates.
 */
#ifndef MESSAGE_ROUTER_H
#define MESSAGE_ROUTER_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Where messages come from and go to. */
enum router_tract {
    ROUTER_INTERNAL = 0,
    ROUTER_EXTERNAL = 1
};

/* Greater is served first. */
enum router_priority {
    ROUTER_LOW = 0,
    ROUTER_NORMAL = 1,
    ROUTER_HIGH = 2,
    ROUTER_CRITICAL = 3
};

enum router_limit {
    /* Greatest capacity of a router. */
    ROUTER_MAX_CAPACITY = 16777216
};

/* What functions return instead of an id or a count; all are negative. Where several apply to one
 * call, the one that stands first among -3 to -8 is returned. */
enum router_error {
    /* No message waits in the tract. */
    ROUTER_EMPTY = -1,
    /* The destination's queue holds as many messages as the router's capacity: try again later. */
    ROUTER_FULL = -2,
    /* The router is NULL. */
    ROUTER_BAD_ROUTER = -3,
    /* An array of a batch call is NULL or not aligned to its elements. */
    ROUTER_BAD_POINTER = -4,
    /* A number of messages is negative. */
    ROUTER_BAD_COUNT = -5,
    /* A source or destination is not a router_tract. */
    ROUTER_BAD_TRACT = -6,
    /* A priority is not a router_priority. */
    ROUTER_BAD_PRIORITY = -7,
    /* A payload size is negative. */
    ROUTER_BAD_PAYLOAD_SIZE = -8
};

/* A message on its way; 32 bytes. The payload itself stays with the caller. */
struct message {
    /* A router_tract. */
    int32_t source_tract;
    /* A router_tract; the queue that the message waits in. */
    int32_t dest_tract;
    /* A router_priority. */
    int32_t priority;
    /* In bytes, 0 or more. */
    int32_t payload_size;
    /* Any value; handed through, not looked at. */
    int64_t timestamp_ms;
    /* How many messages the router accepted before this one. Ignored when routed, set when taken. */
    int64_t id;
};

/* Makes an empty router whose two queues hold up to capacity messages each, of all priorities
 * together.
 *
 * capacity  1 to ROUTER_MAX_CAPACITY. 80 bytes of address space are reserved for each; the system
 *           backs them with memory when they are first used.
 *
 * Returns the router, which the caller gives back with destroy_router, or NULL when the capacity is
 * out of range or memory cannot be had.
 */
void *create_router(int32_t capacity);

/* Frees a router and the messages in it. NULL is ignored. No other call on this router may be under
 * way or follow. */
void destroy_router(void *router);

/* Routes one message.
 *
 * Returns its id, 0 or more, or a negative router_error and nothing is routed. Ids count up from 0
 * over all accepted messages of the router and go back to 0 after 2147483647: the result is the
 * lower 31 bits of the message's 64-bit id. Messages that are refused use up no id.
 */
int32_t route_message_ffi(void *router, int32_t source_tract, int32_t dest_tract, int32_t priority,
                          int64_t timestamp_ms, int32_t payload_size);

/* Takes the next message that waits in a tract.
 *
 * Returns the id that route_message_ffi returned for it, or a negative router_error.
 */
int32_t get_next_message_ffi(void *router, int32_t tract);

/* Returns how many messages wait in a tract, or a negative router_error. */
int32_t get_queue_depth_ffi(void *router, int32_t tract);

/* Returns how many messages wait in both tracts together, or a negative router_error. */
int32_t get_total_queue_depth_ffi(void *router);

/* Routes a batch, in order, up to the first message that is refused.
 *
 * messages  n messages.
 * n         0 or more.
 * out_ids   receives the ids of the accepted messages, as route_message_ffi returns them; NULL when
 *           they are not wanted.
 *
 * Returns the number of accepted messages, which are the first ones of the batch. It is less than n
 * when a message was refused; the next call, with the rest, says why: when the very first message
 * of a batch is refused, the result is its negative router_error.
 */
int32_t route_messages_ffi(void *router, const struct message *messages, int32_t n,
                           int32_t *out_ids);

/* Takes up to max messages that wait in a tract, in the order of get_next_message_ffi.
 *
 * out  receives them; room for max.
 * max  0 or more.
 *
 * Returns the number taken, 0 when none waits, or a negative router_error.
 */
int32_t get_next_messages_ffi(void *router, int32_t tract, struct message *out, int32_t max);

#ifdef __cplusplus
}
#endif

#endif /* MESSAGE_ROUTER_H */
