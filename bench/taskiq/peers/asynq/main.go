// asynq: asynq PORT RESULTS worker | enqueue COUNT AT_ONCE
//
// RESULTS 1: the task writes a result and is kept for a day, 0: it is gone when it is done. 100 tasks at a time. It has no
// pipelined enqueue, so AT_ONCE goroutines send one by one; nor can a client wait for a result, so there is no ping.
// enqueue prints "seconds cpu_seconds".
package main

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/hibiken/asynq"
)

func fail(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "asynq:", err)
		os.Exit(1)
	}
}

func cpuSeconds() float64 {
	var u syscall.Rusage
	fail(syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9
}

func enqueue(at asynq.RedisClientOpt, keep bool, count, atOnce int) {
	client := asynq.NewClient(at)
	var options []asynq.Option
	if keep {
		options = append(options, asynq.Retention(24*time.Hour))
	}
	_, err := client.Enqueue(asynq.NewTask("noop", nil), options...)
	fail(err)
	began, used := time.Now(), cpuSeconds()
	var wait sync.WaitGroup
	for g := 0; g < atOnce; g++ {
		wait.Add(1)
		go func() {
			defer wait.Done()
			for i := 0; i < count/atOnce; i++ {
				_, err := client.Enqueue(asynq.NewTask("noop", nil), options...)
				fail(err)
			}
		}()
	}
	wait.Wait()
	fmt.Println(time.Since(began).Seconds(), cpuSeconds()-used)
}

func main() {
	at := asynq.RedisClientOpt{Addr: "127.0.0.1:" + os.Args[1], PoolSize: 100}
	keep := os.Args[2] == "1"
	if os.Args[3] == "enqueue" {
		count, err := strconv.Atoi(os.Args[4])
		fail(err)
		atOnce, err := strconv.Atoi(os.Args[5])
		fail(err)
		enqueue(at, keep, count, atOnce)
		return
	}
	server := asynq.NewServer(at, asynq.Config{Concurrency: 100, LogLevel: asynq.FatalLevel})
	fail(server.Run(asynq.HandlerFunc(func(_ context.Context, task *asynq.Task) error {
		if keep {
			_, err := task.ResultWriter().Write([]byte("null"))
			return err
		}
		return nil
	})))
}
