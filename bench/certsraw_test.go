package bench

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"weir/internal/haproxy"
)

// asks is nil when a load balancer passes a request for a name on, and an answer comes.
func (w *certsWorld) asks(lb, n int) error {
	conn, err := w.shake(lb, n)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	if _, err := fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: %s\r\n\r\n", certsName(n)); err != nil {
		return err
	}
	line, err := bufio.NewReader(conn).ReadString('\n')
	if err == nil && !strings.HasPrefix(line, "HTTP/1.1 200 ") {
		err = fmt.Errorf("%s answers %q", fleetName(lb), line)
	}
	return err
}

func (w *certsWorld) haproxyDir(lb int) string { return filepath.Join(w.dir, fleetName(lb), "haproxy") }

// copied gives a folder that holds what HAProxy of a load balancer would start from now, at another port
// and other sockets.
func (w *certsWorld) copied(lb int) string {
	w.t.Helper()
	to := filepath.Join(w.dir, "raw", fleetName(lb))
	from := w.haproxyDir(lb)
	err := filepath.WalkDir(from, func(path string, e os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, _ := filepath.Rel(from, path)
		switch {
		case e.IsDir():
			return os.MkdirAll(filepath.Join(to, name), 0o700)
		case !e.Type().IsRegular():
			return nil
		}
		raw, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if name == haproxy.ConfigFile {
			raw = bytes.ReplaceAll(raw, fmt.Appendf(nil, ":%d", certsPort), fmt.Appendf(nil, ":%d", rawPort))
			raw = bytes.ReplaceAll(raw, []byte("@weir-again-"), []byte("@weir-raw-again-")) // one process alone has a name of a socket
		}
		return os.WriteFile(filepath.Join(to, name), raw, 0o600)
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return to
}

// coldStarts gives the milliseconds from the start of a process until HAProxy answers a request of a new TLS connection: of
// the agent with everything on disk, and of HAProxy alone with the files that the agent left, by turns.
func (w *certsWorld) coldStarts() (agent, alone []float64) {
	w.t.Helper()
	name := fleetName(0)
	w.port = certsPort
	w.rest(4 * time.Second) // until it is noted which files rest
	w.stopped(name)
	for range certsStarts {
		began := time.Now()
		w.run(name, w.agentArgs(name)...)
		agent = append(agent, w.answersSince(began))
		w.eventually("the load balancer is read back", 30*time.Second, w.converged)
		w.rest(2 * time.Second)
		w.stopped(name)
		began = time.Now()
		w.startHAProxy(0, w.haproxyDir(0))
		alone = append(alone, w.answersSince(began))
		w.rest(500 * time.Millisecond)
		w.stopped("haproxy-0")
	}
	return agent, alone
}

// answersSince asks until an answer comes, and gives the milliseconds since began.
func (w *certsWorld) answersSince(began time.Time) float64 {
	w.t.Helper()
	for n := certsCount - 7; ; w.rest(time.Millisecond) {
		err := w.asks(0, n)
		if err == nil {
			return float64(time.Since(began).Microseconds()) / 1000
		}
		if time.Since(began) > time.Minute {
			w.t.Fatal(err)
		}
	}
}

func (w *certsWorld) startHAProxy(lb int, dir string) {
	w.runIn(dir, fmt.Sprintf("haproxy-%d", lb), w.haproxy(), "-W", "-f", haproxy.ConfigFile, "-S", "unix@"+haproxy.MasterSocket+",mode,600")
}

// stopped ends a process and waits until nobody listens at load balancer 0.
func (w *certsWorld) stopped(process string) {
	w.t.Helper()
	if err := w.processes[process].Stop(); err != nil && !strings.HasPrefix(process, "haproxy") {
		w.t.Fatal(err)
	}
	w.eventually("the port is closed", 20*time.Second, func() error {
		if c, err := net.Dial("tcp", w.at(0).String()); err == nil {
			return errors.Join(errors.New("somebody listens still"), c.Close())
		}
		return nil
	})
}

// startRaw runs HAProxies without agents, as those with agents were before anything was loaded.
func (w *certsWorld) startRaw() {
	w.t.Helper()
	w.port = rawPort
	for lb := range certsBalance {
		w.startHAProxy(lb, w.raw[lb])
		w.eventually("HAProxy alone answers", 20*time.Second, func() error { return w.asks(lb, 0) })
	}
}

func (w *certsWorld) stopRaw() {
	w.t.Helper()
	for lb := range certsBalance {
		w.stopped(fmt.Sprintf("haproxy-%d", lb))
	}
}

// loadRaw brings the HAProxies to what the agents' had, by hand, side by side, and gives the seconds of that: the files
// first, then the commands, all that go together at once.
func (w *certsWorld) loadRaw() float64 {
	w.t.Helper()
	var numbers []int
	for n := 1; n < certsCount; n++ {
		numbers = append(numbers, n)
	}
	files, commands := make([]map[string][]byte, certsBalance), make([][]byte, certsBalance)
	for lb := range certsBalance {
		files[lb] = w.pems(numbers)
		b := certCommands(files[lb], numbers, true)
		b = append(b, w.lineCommands(lb, files[lb])...)
		commands[lb] = b
	}
	w.settled(w.raw...)
	began := time.Now()
	w.byHand(files, commands)
	seconds := time.Since(began).Seconds()
	w.everyNameIsShown()
	for lb := range certsBalance {
		if err := w.asks(lb, certsCount-7); err != nil {
			w.t.Fatal(err)
		}
	}
	return seconds
}

func certsFile(n int) string { return fmt.Sprintf("certs/c%04d.pem", n) }

func (w *certsWorld) pems(numbers []int) map[string][]byte {
	files := map[string][]byte{}
	for _, n := range numbers {
		files[certsFile(n)] = []byte(w.certificates[n].chain + w.certificates[n].key)
	}
	return files
}

// certCommands bring certificates into HAProxy's memory.
func certCommands(files map[string][]byte, numbers []int, fresh bool) []byte {
	var b []byte
	for _, n := range numbers {
		path := certsFile(n)
		if fresh {
			b = fmt.Appendf(b, "new ssl cert %s\n", path)
		}
		b = fmt.Appendf(b, "set ssl cert %s <<%%R7%%\n%s%%R7%%\ncommit ssl cert %[1]s\n", path, files[path])
	}
	return b
}

// lineCommands are those that make of the maps and certificate lists of the raw folder what the agent has made of its own;
// the new files are put beside the certificates.
func (w *certsWorld) lineCommands(lb int, files map[string][]byte) []byte {
	w.t.Helper()
	var b []byte
	for _, pattern := range []string{"certs/*.list", "maps/*"} {
		paths, err := filepath.Glob(filepath.Join(w.haproxyDir(lb), pattern))
		if err != nil {
			w.t.Fatal(err)
		}
		for _, path := range paths {
			name, _ := filepath.Rel(w.haproxyDir(lb), path)
			now, err := os.ReadFile(path)
			if err != nil {
				w.t.Fatal(err)
			}
			before, err := os.ReadFile(filepath.Join(w.raw[lb], name))
			if err != nil && !errors.Is(err, os.ErrNotExist) {
				w.t.Fatal(err)
			}
			if bytes.Equal(now, before) {
				continue
			}
			files[name] = now
			old := strings.Split(string(before), "\n")
			var fresh []string
			for line := range strings.Lines(string(now)) {
				if line = strings.TrimSuffix(line, "\n"); line != "" && !slices.Contains(old, line) {
					fresh = append(fresh, line)
				}
			}
			if strings.HasPrefix(name, "certs/") {
				for _, line := range fresh {
					b = fmt.Appendf(b, "add ssl crt-list %s <<%%R7%%\n%s\n%%R7%%\n", name, line)
				}
				continue
			}
			for part := range slices.Chunk(fresh, 100) {
				b = fmt.Appendf(b, "add map %s <<%%R7%%\n%s\n%%R7%%\n", name, strings.Join(part, "\n"))
			}
		}
	}
	return b
}

func (w *certsWorld) renewByHand(names []int) {
	w.t.Helper()
	files, commands := make([]map[string][]byte, certsBalance), make([][]byte, certsBalance)
	for lb := range certsBalance {
		files[lb] = w.pems(names)
		commands[lb] = certCommands(files[lb], names, false)
	}
	w.byHand(files, commands)
}

// byHand writes files and sends commands, at all load balancers side by side.
func (w *certsWorld) byHand(files []map[string][]byte, commands [][]byte) {
	w.t.Helper()
	var all sync.WaitGroup
	for lb := range certsBalance {
		all.Go(func() {
			if err := errors.Join(putAll(w.raw[lb], files[lb]), sendAll(filepath.Join(w.raw[lb], haproxy.AdminSocket), commands[lb])); err != nil {
				w.t.Error(err)
			}
		})
	}
	all.Wait()
}

// putAll writes files as one must who wants to find them after a loss of power: each beside, then renamed.
func putAll(dir string, files map[string][]byte) error {
	for name, data := range files {
		path := filepath.Join(dir, name)
		if err := durable(path, data); err != nil {
			return err
		}
	}
	return nil
}

func durable(path string, data []byte) error {
	f, err := os.OpenFile(path+".new", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// sendAll sends commands over one connection as fast as they are taken, and returns when the last is answered.
func sendAll(socket string, commands []byte) error {
	conn, err := net.Dial("unix", socket)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	sent := make(chan error, 1)
	go func() {
		_, err := io.Copy(conn, io.MultiReader(strings.NewReader("prompt i\n"), bytes.NewReader(commands), strings.NewReader("echo that-is-all\n")))
		sent <- err
	}()
	in := bufio.NewScanner(conn)
	for in.Scan() {
		switch line := in.Text(); {
		case strings.Contains(line, "that-is-all"):
			return <-sent
		case strings.Contains(line, "rror") || strings.Contains(line, "Can't") || strings.Contains(line, "nknown"):
			return errors.New(line)
		}
	}
	return errors.Join(errors.New("the answers ended too early"), in.Err())
}
