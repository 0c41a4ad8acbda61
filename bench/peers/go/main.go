// peers list | submit|producers|blocking CONTESTANT WORKERS JOBS | swarm|lanes CONTESTANT WORKERS ITEMS
//
// One measured round of one contestant, after a smaller one that warms up; prints its nanoseconds per job or item, and those of
// the processor time. bench_pool starts it once a round, by turns with the others.
//
// A job is a function and 24 bytes, as a C caller's would be. GOMAXPROCS is the number of workers and of submitters together.
package main

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/panjf2000/ants/v2"
)

type job struct {
	run  func([3]uint64)
	with [3]uint64
}

//go:noinline
func nothing(with [3]uint64) { _ = with }

func sleeps([3]uint64) { time.Sleep(time.Millisecond) }

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

// A bounded channel and a full ants pool make their submitter wait: a weaker promise than a submit that returns.
var contestants = []struct {
	name    string
	make    func(workers int) pool
	bounded bool
	waits   bool
}{{"Go channel", channel, true, true}, {"goroutines", goroutine, false, false}, {"ants", antsPool, true, true}}

func cpuNs() float64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return float64(u.Utime.Nano() + u.Stime.Nano())
}

func measured(units int, run func()) (float64, float64) {
	begin, cpu := time.Now(), cpuNs()
	run()
	return float64(time.Since(begin).Nanoseconds()) / float64(units), (cpuNs() - cpu) / float64(units)
}

func submitAll(p pool, one job, producers, jobs int) {
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
}

//go:noinline
func item(index int) uint64 { return uint64(index)*0x9e3779b97f4a7c15 ^ uint64(index)>>7 }

const flight = 30

// A goroutine for each item, a channel as the semaphore.
func goroutineItems(results []uint64) {
	permits := make(chan struct{}, flight)
	var all sync.WaitGroup
	for i := range results {
		permits <- struct{}{}
		all.Add(1)
		go func() {
			results[i] = item(i)
			<-permits
			all.Done()
		}()
	}
	all.Wait()
}

// 30 goroutines that take items by turns.
func goroutineLanes(results []uint64) {
	var next atomic.Int64
	var all sync.WaitGroup
	for k := 0; k < flight; k++ {
		all.Add(1)
		go func() {
			for at := int(next.Add(1)) - 1; at < len(results); at = int(next.Add(1)) - 1 {
				results[at] = item(at)
			}
			all.Done()
		}()
	}
	all.Wait()
}

func swarm(run func([]uint64), items int) (float64, float64) {
	run(make([]uint64, items/10))
	results := make([]uint64, items)
	ns, cpu := measured(items, func() { run(results) })
	for i, got := range results {
		if got != item(i) {
			panic("an item without its result")
		}
	}
	return ns, cpu
}

func list() {
	for _, c := range contestants {
		mark := ""
		if c.waits {
			mark = "!"
		}
		fmt.Printf("submit%s %s\nproducers%s %s\n", mark, c.name, mark, c.name)
		if c.bounded {
			fmt.Printf("blocking%s %s\n", mark, c.name)
		}
	}
	fmt.Println("swarm goroutines\nlanes goroutine lanes")
}

func round(workload, name string, workers, count int) (float64, float64, bool) {
	runtime.GOMAXPROCS(workers)
	switch {
	case workload == "swarm" && name == "goroutines":
		ns, cpu := swarm(goroutineItems, count)
		return ns, cpu, true
	case workload == "lanes" && name == "goroutine lanes":
		ns, cpu := swarm(goroutineLanes, count)
		return ns, cpu, true
	}
	producers, one := map[string]int{"submit": 1, "producers": 4, "blocking": 1}[workload], job{nothing, [3]uint64{1, 2, 3}}
	if workload == "blocking" {
		one.run = sleeps
	}
	for _, c := range contestants {
		if c.name == name && producers > 0 {
			runtime.GOMAXPROCS(workers + producers)
			p := c.make(workers)
			submitAll(p, one, producers, count/10)
			ns, cpu := measured(count, func() { submitAll(p, one, producers, count) })
			p.end()
			return ns, cpu, true
		}
	}
	return 0, 0, false
}

func main() {
	args := os.Args[1:]
	if len(args) == 1 && args[0] == "list" {
		list()
		return
	}
	if len(args) == 4 {
		workers, err := strconv.Atoi(args[2])
		count, err2 := strconv.Atoi(args[3])
		if err == nil && err2 == nil {
			if ns, cpu, known := round(args[0], args[1], workers, count); known {
				fmt.Println(ns, cpu)
				return
			}
		}
	}
	fmt.Fprintln(os.Stderr, "usage: peers list | submit|producers|blocking|swarm|lanes CONTESTANT WORKERS COUNT")
	os.Exit(2)
}
