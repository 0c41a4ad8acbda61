package main

import (
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// A PostgreSQL cluster in a temporary folder: on a unix socket there, and on nothing else. PostgreSQL refuses to run as root,
// who therefore runs it as the user that Debian's package made.
type cluster struct {
	programs string
	folder   string
	owner    *syscall.Credential // nil: whoever we are
	server   *exec.Cmd
	ended    chan struct{} // closed when the server has ended
}

const (
	superuser = "hatchet"
	baseName  = "base" // the database that every other one is copied from
)

// What makes it quick, and what the engine asks for (UTC). With the just-in-time compiler each look-up of a result takes
// 0.1 s. Nothing here survives a crash of the machine, nor has to.
const settings = `
listen_addresses = ''
unix_socket_permissions = 0700
max_connections = 200
timezone = 'UTC'
jit = off
fsync = off
synchronous_commit = off
full_page_writes = off
wal_level = minimal
max_wal_senders = 0
max_wal_size = 2GB
checkpoint_timeout = 30min
`

// openCluster starts a cluster with the prepared database. prepared: where a copy of it is kept ("": nowhere).
func openCluster(asked, prepared string) (*cluster, error) {
	programs, err := postgresFolder(asked)
	if err != nil {
		return nil, err
	}
	owner, err := ownerOfClusters()
	if err != nil {
		return nil, err
	}
	folder, err := os.MkdirTemp("", "mageflow-hatchet-")
	if err != nil {
		return nil, err
	}
	c := &cluster{programs: programs, folder: folder, owner: owner}
	if err = c.open(prepared); err != nil {
		c.close()
		return nil, err
	}
	return c, nil
}

func (c *cluster) open(prepared string) error {
	if err := c.give(c.folder); err != nil {
		return err
	}
	if prepared != "" {
		stamp, err := c.stamp()
		if err != nil {
			return err
		}
		kept := filepath.Join(prepared, stamp)
		if _, err = os.Stat(kept); err != nil {
			if err = c.prepare(); err != nil {
				return err
			}
			if err = keep(c.data(), prepared, kept); err != nil {
				return err
			}
			return c.start()
		}
		if out, err := exec.Command("cp", "-a", "--reflink=auto", kept, c.data()).CombinedOutput(); err != nil {
			return fmt.Errorf("cp: %s", out)
		}
		return c.start()
	}
	if err := c.prepare(); err != nil {
		return err
	}
	return c.start()
}

// prepare makes the data folder with the base database in it, and leaves the server stopped, for a copy.
func (c *cluster) prepare() error {
	if err := c.run("initdb", "-D", c.data(), "-U", superuser, "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync"); err != nil {
		return err
	}
	file, err := os.OpenFile(filepath.Join(c.data(), "postgresql.conf"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer file.Close()
	if _, err = file.WriteString(settings); err != nil {
		return err
	}
	if err = c.start(); err != nil {
		return err
	}
	if err = c.run("createdb", "-h", c.folder, "-U", superuser, baseName); err != nil {
		return err
	}
	migration, err := child(c.log(), "-prepare", "-database", c.url(baseName))
	if err != nil {
		return err
	}
	if err = migration.Run(); err != nil {
		return fmt.Errorf("the database could not be prepared: %s", tail(c.log()))
	}
	c.end(syscall.SIGINT)
	return nil
}

// keep puts a copy of the data folder where the next start finds it. Two who do it at once do not harm each other.
func keep(data, prepared, kept string) error {
	if err := os.MkdirAll(prepared, 0o755); err != nil {
		return err
	}
	old, _ := filepath.Glob(filepath.Join(prepared, "*"))
	mine := fmt.Sprintf("%s.%d", kept, os.Getpid())
	if out, err := exec.Command("cp", "-a", data, mine).CombinedOutput(); err != nil {
		return fmt.Errorf("cp: %s", out)
	}
	if err := os.Rename(mine, kept); err != nil {
		return os.RemoveAll(mine) // somebody else was faster
	}
	for _, folder := range old { // of another version
		if !strings.Contains(filepath.Base(folder), ".") && folder != kept {
			_ = os.RemoveAll(folder)
		}
	}
	return nil
}

// stamp names what a prepared cluster depends on: PostgreSQL's version, and this program, whose migrations made it.
func (c *cluster) stamp() (string, error) {
	version, err := exec.Command(filepath.Join(c.programs, "postgres"), "-V").Output()
	if err != nil {
		return "", err
	}
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	info, err := os.Stat(self)
	if err != nil {
		return "", err
	}
	words := strings.Fields(string(version)) // postgres (PostgreSQL) 15.18 …
	if len(words) < 3 {
		return "", fmt.Errorf("postgres -V: %q", version)
	}
	uid := os.Getuid()
	if c.owner != nil {
		uid = int(c.owner.Uid)
	}
	return fmt.Sprintf("pg%s-%d-%x-%x", strings.ReplaceAll(words[2], ".", "_"), uid, info.Size(), info.ModTime().Unix()), nil
}

func (c *cluster) data() string { return filepath.Join(c.folder, "data") }
func (c *cluster) log() string  { return filepath.Join(c.folder, "log") }

func (c *cluster) url(database string) string {
	u := url.URL{Scheme: "postgresql", User: url.User(superuser), Host: "", Path: "/" + database,
		RawQuery: url.Values{"host": {c.folder}, "sslmode": {"disable"}}.Encode()}
	return u.String()
}

func (c *cluster) pid() int { return c.server.Process.Pid }

func (c *cluster) start() error {
	file, err := os.OpenFile(c.log(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer file.Close()
	server := c.command("postgres", "-D", c.data(), "-k", c.folder)
	server.Stdout, server.Stderr = file, file
	if err = server.Start(); err != nil {
		return err
	}
	ended := make(chan struct{})
	go func() {
		_ = server.Wait()
		close(ended)
	}()
	c.server, c.ended = server, ended
	late := time.After(startTimeout)
	for c.run("pg_isready", "-q", "-h", c.folder, "-U", superuser) != nil {
		select {
		case <-ended:
			return fmt.Errorf("PostgreSQL did not start: %s", tail(c.log()))
		case <-late:
			return fmt.Errorf("PostgreSQL does not answer: %s", tail(c.log()))
		case <-time.After(10 * time.Millisecond):
		}
	}
	return nil
}

// end sends SIGINT (in good order) or SIGQUIT (at once), and waits.
func (c *cluster) end(with syscall.Signal) {
	if c.server != nil {
		_ = c.server.Process.Signal(with)
		<-c.ended
		c.server = nil
	}
}

func (c *cluster) close() {
	c.end(syscall.SIGQUIT)
	_ = os.RemoveAll(c.folder)
}

func (c *cluster) create(database string) error {
	return c.run("createdb", "-h", c.folder, "-U", superuser, "-T", baseName, database)
}

func (c *cluster) drop(database string) error {
	return c.run("dropdb", "-h", c.folder, "-U", superuser, "-f", database)
}

// moveTokens makes the tokens of one database valid in another: the keys that sign them are the same in all.
func (c *cluster) moveTokens(from, to string) error {
	const name = `"APIToken"`
	rows, err := c.sql(from, `COPY `+name+` TO STDOUT`, "").Output()
	if err != nil {
		return fmt.Errorf("psql: %w", err)
	}
	if out, err := c.sql(to, `COPY `+name+` FROM STDIN`, string(rows)).CombinedOutput(); err != nil {
		return fmt.Errorf("psql: %s", out)
	}
	return nil
}

func (c *cluster) sql(database, statement, input string) *exec.Cmd {
	command := c.command("psql", "-X", "-q", "-h", c.folder, "-U", superuser, "-d", database, "-c", statement)
	command.Stdin = strings.NewReader(input)
	return command
}

func (c *cluster) command(program string, arguments ...string) *exec.Cmd {
	command := exec.Command(filepath.Join(c.programs, program), arguments...)
	command.Dir = c.folder
	// A server that loses its parent ends at once, and its children with it.
	command.SysProcAttr = &syscall.SysProcAttr{Credential: c.owner, Pdeathsig: syscall.SIGQUIT}
	return command
}

func (c *cluster) run(program string, arguments ...string) error {
	if out, err := c.command(program, arguments...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", program, err, strings.TrimSpace(string(out)))
	}
	return nil
}

// give hands a folder to the owner of clusters.
func (c *cluster) give(folder string) error {
	if c.owner == nil {
		return nil
	}
	return os.Chown(folder, int(c.owner.Uid), int(c.owner.Gid))
}

func ownerOfClusters() (*syscall.Credential, error) {
	if os.Getuid() != 0 {
		return nil, nil
	}
	postgres, err := user.Lookup("postgres")
	if err != nil {
		return nil, fmt.Errorf("PostgreSQL does not run as root, and there is no user postgres (Debian's package postgresql makes it)")
	}
	uid, err := strconv.ParseUint(postgres.Uid, 10, 32)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.ParseUint(postgres.Gid, 10, 32)
	if err != nil {
		return nil, err
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
}
