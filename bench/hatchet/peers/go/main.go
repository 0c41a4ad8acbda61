// The two tasks on a worker of the Go SDK, as its documentation writes one: peer SLOTS. Its name, its
// second task's (BENCH_WORKER, BENCH_STAMP), the engine's address and the token come from the environment.
package main

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"time"

	hatchet "github.com/hatchet-dev/hatchet/sdks/go"
)

type nothing struct{}

type begun struct {
	At float64 `json:"at"`
}

func fail(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "peer:", err)
		os.Exit(1)
	}
}

func main() {
	slots, err := strconv.Atoi(os.Args[1])
	fail(err)
	client, err := hatchet.NewClient()
	fail(err)
	noop := client.NewStandaloneTask("noop", func(_ hatchet.Context, _ nothing) (nothing, error) { return nothing{}, nil })
	stamp := client.NewStandaloneTask(os.Getenv("BENCH_STAMP"), func(_ hatchet.Context, _ nothing) (begun, error) {
		return begun{float64(time.Now().UnixNano()) / 1e9}, nil
	})
	worker, err := client.NewWorker(os.Getenv("BENCH_WORKER"), hatchet.WithWorkflows(noop, stamp), hatchet.WithSlots(slots))
	fail(err)
	fail(worker.StartBlocking(context.Background()))
}
