/* bench/store/hand_queue.h: the queue that one writes oneself: a table of messages, a table of results, a transaction an item. */
#ifndef BENCH_HAND_QUEUE_H
#define BENCH_HAND_QUEUE_H

typedef struct hand_queue hand_queue;

/* A new file with n messages of 20 bytes, put there in one transaction. NULL: said why not. */
hand_queue *hand_queue_open(const char *path, unsigned long long n);
/* Take each message, in the order of their coming, and put its result in its place, all in one transaction each, which waits
 * for the disk. How many there were. */
unsigned long long hand_queue_drain(hand_queue *q);
void hand_queue_close(hand_queue *q);

#endif
