package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"time"

	"github.com/hatchet-dev/hatchet/cmd/hatchet-admin/cli/seed"
	"github.com/hatchet-dev/hatchet/cmd/hatchet-migrate/migrate"
	"github.com/hatchet-dev/hatchet/embed"
	"github.com/hatchet-dev/hatchet/embed/keyset"
	"github.com/hatchet-dev/hatchet/pkg/config/loader"
)

// The first argument of the child; what it tells its parent goes through this descriptor, for the engine's libraries write
// to both standard ones.
const (
	childWord = "serve"
	childTell = 3
)

// What the child tells once the engine listens.
type told struct {
	GRPC, API, Token, Tenant string
}

// serve is the child: an engine on the database, until SIGTERM; or, with -prepare, a database made ready for engines.
func serve(arguments []string) {
	flags := flag.NewFlagSet(childWord, flag.ExitOnError)
	database := flags.String("database", "", "URL of the database")
	grpcPort := flags.Int("grpc", 0, "port of gRPC")
	apiPort := flags.Int("api", 0, "port of the REST API")
	prepare := flags.Bool("prepare", false, "migrate and seed the database and end")
	_ = flags.Parse(arguments)
	var err error
	if *prepare {
		err = prepareDatabase(context.Background(), *database)
	} else {
		err = serveUntilSignal(*database, *grpcPort, *apiPort)
	}
	if err != nil {
		log.Fatal(err)
	}
}

// prepareDatabase leaves tables, the default tenant and the keys that sign tokens. No engine has run on it, so that no copy
// of it remembers one that is gone.
func prepareDatabase(ctx context.Context, url string) error {
	if err := os.Setenv("DATABASE_URL", url); err != nil {
		return err
	}
	if err := migrate.RunMigrations(ctx); err != nil {
		return fmt.Errorf("the migrations: %w", err)
	}
	if _, err := keyset.Resolve(ctx, url); err != nil {
		return fmt.Errorf("the keys: %w", err)
	}
	layer, err := loader.NewConfigLoader("").InitDataLayer()
	if err != nil {
		return fmt.Errorf("the database: %w", err)
	}
	if err = seed.SeedDatabase(layer); err != nil {
		return fmt.Errorf("the default tenant: %w", err)
	}
	return layer.Disconnect()
}

func serveUntilSignal(database string, grpcPort, apiPort int) error {
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer cancel()
	instance, err := embed.Start(context.Background(), embed.WithPostgres(database), embed.WithoutMigrations(),
		embed.WithGRPCPort(grpcPort), embed.WithAPIPort(apiPort), embed.WithLogLevel("warn"))
	if err != nil {
		return err
	}
	line, err := json.Marshal(told{instance.GRPCAddress(), instance.APIURL(), instance.Token(), instance.TenantID()})
	if err != nil {
		return err
	}
	tell := os.NewFile(childTell, "tell")
	if _, err = tell.Write(line); err != nil {
		return err
	}
	if err = tell.Close(); err != nil {
		return err
	}
	<-ctx.Done()
	limited, stop := context.WithTimeout(context.Background(), stopTimeout)
	defer stop()
	return instance.Shutdown(limited)
}

// An engine that runs, seen from its parent.
type engine struct {
	told
	command *exec.Cmd
}

const (
	startTimeout = 90 * time.Second
	stopTimeout  = 60 * time.Second
)

// child is this program with the child's arguments; its output goes to the log.
func child(log string, arguments ...string) (*exec.Cmd, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	file, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	command := exec.Command(self, append([]string{childWord}, arguments...)...)
	command.Stdout, command.Stderr = file, file
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	command.Env = append(os.Environ(), "SERVER_LOGGER_LEVEL=warn", "DATABASE_LOGGER_LEVEL=warn", "SERVER_SECURITY_CHECK_ENABLED=false")
	return command, nil
}

func startEngine(c *cluster, database string, grpcPort, apiPort int) (*engine, error) {
	command, err := child(c.log(), "-database", c.url(database), "-grpc", fmt.Sprint(grpcPort), "-api", fmt.Sprint(apiPort))
	if err != nil {
		return nil, err
	}
	hear, tell, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	command.ExtraFiles = []*os.File{tell} // descriptor 3
	if err = command.Start(); err != nil {
		return nil, err
	}
	_ = tell.Close()
	_ = command.Stdout.(*os.File).Close()
	e := &engine{command: command}
	late := time.AfterFunc(startTimeout, func() { _ = command.Process.Kill() })
	defer late.Stop()
	line, err := io.ReadAll(hear) // up to the close; empty when it has ended
	if err == nil {
		err = json.Unmarshal(line, &e.told)
	}
	_ = hear.Close()
	if err != nil {
		e.kill()
		return nil, fmt.Errorf("the engine did not start: %s", tail(c.log()))
	}
	return e, nil
}

func (e *engine) pid() int { return e.command.Process.Pid }

func (e *engine) stop() error {
	_ = e.command.Process.Signal(syscall.SIGTERM)
	late := time.AfterFunc(stopTimeout, e.killNow)
	defer late.Stop()
	var status *exec.ExitError
	if err := e.command.Wait(); errors.As(err, &status) {
		return fmt.Errorf("the engine ended badly: %s", status)
	}
	return nil
}

func (e *engine) killNow() { _ = e.command.Process.Kill() }

func (e *engine) kill() {
	e.killNow()
	_ = e.command.Wait()
}

// tail is the end of a log, for a message of one line.
func tail(path string) string {
	text, _ := os.ReadFile(path)
	if len(text) > 2000 {
		text = text[len(text)-2000:]
	}
	return string(bytes.ToValidUTF8(bytes.TrimSpace(text), []byte("?")))
}
