// A Hatchet engine for tests: the published engine on a PostgreSQL cluster of its own, both gone with whoever started it.
//
//	hatchet-engine [-postgres BIN] [-prepared DIR]
//
// It prints one JSON line when the engine answers, and takes commands on its standard input, one a line, each of which is
// answered by one such line (see state):
//
//	stop     end the engine in good order (it takes some seconds)
//	kill     end it at once, as a crash would. Note: a new engine on the same database assigns nothing for about a minute
//	start    start it again, on the same ports and the same database
//	fresh    the same on a new, empty database. Tokens given out before are valid there, too
//
// The end of its standard input, or SIGTERM, ends everything and removes the temporary folder. Should it be killed itself,
// the kernel ends what it has started.
//
// The engine and this supervisor are one program: the engine runs as a child (serve.go), so that it can be killed, and so
// that each start is that of a new process.
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"syscall"
)

// What is printed: after the start, and after each command.
type state struct {
	GRPC     string `json:"grpc,omitempty"`     // host:port, plain text
	API      string `json:"api,omitempty"`      // URL of the REST API
	Token    string `json:"token,omitempty"`    // of the last start; names the two addresses, too
	Tenant   string `json:"tenant,omitempty"`   //
	Engine   int    `json:"engine"`             // process id; 0: stopped
	Postgres int    `json:"postgres"`           // process id
	Database string `json:"database,omitempty"` // URL, on the cluster's unix socket
	Log      string `json:"log,omitempty"`      // what the engine and the migrations said
	Error    string `json:"error,omitempty"`    // the command failed; nothing else is set
}

// Supervisor of one cluster and of at most one engine.
type supervisor struct {
	cluster   *cluster
	database  string
	databases int
	grpcPort  int
	apiPort   int
	engine    *engine // nil: stopped
}

func main() {
	if len(os.Args) > 1 && os.Args[1] == childWord {
		serve(os.Args[2:])
		return
	}
	postgres := flag.String("postgres", "", "folder of PostgreSQL's programs (the newest of Debian's)")
	prepared := flag.String("prepared", "", "keep a migrated cluster in this folder, so that later starts are quick")
	flag.Parse()
	// The kernel ends the children when the thread that started them ends.
	runtime.LockOSThread()
	if err := run(*postgres, *prepared); err != nil {
		report(state{Error: err.Error()})
		os.Exit(1)
	}
}

func run(postgres, prepared string) error {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)

	cluster, err := openCluster(postgres, prepared)
	if err != nil {
		return err
	}
	defer cluster.close()
	s := &supervisor{cluster: cluster}
	defer s.kill()
	if s.grpcPort, err = freePort(); err != nil {
		return err
	}
	if s.apiPort, err = freePort(); err != nil {
		return err
	}
	if err = s.fresh(); err != nil {
		return err
	}
	s.report()

	commands := make(chan string)
	go func() {
		lines := bufio.NewScanner(os.Stdin)
		for lines.Scan() {
			commands <- lines.Text()
		}
		close(commands)
	}()
	for {
		select {
		case <-signals:
			return nil
		case command, more := <-commands:
			if !more {
				return nil
			}
			if err := s.do(command); err != nil {
				report(state{Error: err.Error()})
			} else {
				s.report()
			}
		}
	}
}

func (s *supervisor) do(command string) error {
	switch command {
	case "stop":
		return s.stop()
	case "kill":
		s.kill()
		return nil
	case "start":
		return s.start()
	case "fresh":
		return s.fresh()
	}
	return fmt.Errorf("no such command: %q", command)
}

func (s *supervisor) start() error {
	if s.engine != nil {
		return fmt.Errorf("the engine runs already")
	}
	engine, err := startEngine(s.cluster, s.database, s.grpcPort, s.apiPort)
	if err != nil {
		return err
	}
	s.engine = engine
	return nil
}

func (s *supervisor) stop() error {
	if s.engine == nil {
		return fmt.Errorf("the engine does not run")
	}
	err := s.engine.stop()
	s.engine = nil
	return err
}

func (s *supervisor) kill() {
	if s.engine != nil {
		s.engine.kill()
		s.engine = nil
	}
}

func (s *supervisor) fresh() error {
	s.kill()
	before := s.database
	s.databases++
	s.database = fmt.Sprintf("hatchet_%d", s.databases)
	if err := s.cluster.create(s.database); err != nil {
		return err
	}
	if before != "" {
		if err := s.cluster.moveTokens(before, s.database); err != nil {
			return err
		}
		if err := s.cluster.drop(before); err != nil {
			return err
		}
	}
	return s.start()
}

func (s *supervisor) report() {
	now := state{Postgres: s.cluster.pid(), Database: s.cluster.url(s.database), Log: s.cluster.log()}
	if s.engine != nil {
		now.GRPC, now.API, now.Token, now.Tenant = s.engine.GRPC, s.engine.API, s.engine.Token, s.engine.Tenant
		now.Engine = s.engine.pid()
	}
	report(now)
}

func report(now state) {
	line := json.NewEncoder(os.Stdout)
	line.SetEscapeHTML(false) // no escapes in a URL, for readers that know none
	if err := line.Encode(now); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
}

// A port that was free a moment ago. The engine keeps it over restarts, as a real one keeps its address.
func freePort() (int, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port, nil
}

// The newest of Debian's PostgreSQL folders, or the one that is asked for.
func postgresFolder(asked string) (string, error) {
	if asked == "" {
		found, _ := filepath.Glob("/usr/lib/postgresql/*/bin")
		for _, folder := range found { // sorted
			asked = folder
		}
	}
	if _, err := os.Stat(filepath.Join(asked, "initdb")); asked == "" || err != nil {
		return "", fmt.Errorf("no PostgreSQL server here (Debian's package postgresql)")
	}
	return asked, nil
}
