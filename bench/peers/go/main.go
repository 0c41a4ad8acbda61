// peers list | submit|producers CONTESTANT WORKERS JOBS
//
// One measured round of one contestant, after a smaller one that warms up; prints its nanoseconds per job. bench_pool
// starts it once a round, by turns with the others.
//
// A job is a function and 24 bytes, as a C caller's would be. GOMAXPROCS is the number of workers and of submitters together.
package main

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"sync"
	"time"

	"github.com/panjf2000/ants/v2"
)

type job struct {
	run  func([3]uint64)
	with [3]uint64
}

//go:noinline
func nothing(with [3]uint64) { _ = with }

var one = job{nothing, [3]uint64{1, 2, 3}}

// A pool: hand in a job, wait for all that were handed in, end.
type pool struct {
	submit func(job)
	wait   func()
	end    func()
}

func channel(workers int) pool {
	queue := make(chan job, 4096)
	var all sync.WaitGroup
	for i := 0; i < workers; i++ {
		go func() {
			for j := range queue {
				j.run(j.with)
				all.Done()
			}
		}()
	}
	return pool{func(j job) { all.Add(1); queue <- j }, all.Wait, func() { close(queue) }}
}

func goroutine(int) pool {
	var all sync.WaitGroup
	return pool{func(j job) { all.Add(1); go func() { j.run(j.with); all.Done() }() }, all.Wait, func() {}}
}

func antsPool(workers int) pool {
	var all sync.WaitGroup
	p, err := ants.NewPool(workers)
	if err != nil {
		panic(err)
	}
	return pool{func(j job) {
		all.Add(1)
		if err := p.Submit(func() { j.run(j.with); all.Done() }); err != nil {
			panic(err)
		}
	}, all.Wait, p.Release}
}

var contestants = []struct {
	name string
	make func(workers int) pool
}{{"Go channel", channel}, {"goroutines", goroutine}, {"ants", antsPool}}

func timed(p pool, producers, jobs int) float64 {
	begin := time.Now()
	if producers == 1 {
		for i := 0; i < jobs; i++ {
			p.submit(one)
		}
	} else {
		var all sync.WaitGroup
		for k := 0; k < producers; k++ {
			all.Add(1)
			go func() {
				for i := 0; i < jobs/producers; i++ {
					p.submit(one)
				}
				all.Done()
			}()
		}
		all.Wait()
	}
	p.wait()
	return float64(time.Since(begin).Nanoseconds()) / float64(jobs)
}

func main() {
	args := os.Args[1:]
	if len(args) == 1 && args[0] == "list" {
		for _, c := range contestants {
			fmt.Println("submit", c.name)
		}
		return
	}
	if len(args) == 4 && (args[0] == "submit" || args[0] == "producers") {
		workers, err := strconv.Atoi(args[2])
		jobs, err2 := strconv.Atoi(args[3])
		producers := 1
		if args[0] == "producers" {
			producers = 4
		}
		for _, c := range contestants {
			if c.name == args[1] && err == nil && err2 == nil {
				runtime.GOMAXPROCS(workers + producers)
				p := c.make(workers)
				timed(p, producers, jobs/10)
				fmt.Println(timed(p, producers, jobs))
				p.end()
				return
			}
		}
	}
	fmt.Fprintln(os.Stderr, "usage: peers list | submit|producers CONTESTANT WORKERS JOBS")
	os.Exit(2)
}
