package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
)

// demoOptions say what the demo runs, where, for how long.
type demoOptions struct {
	dir, haproxy string
	seconds      int
}

func newDemo() *cobra.Command {
	var o demoOptions
	cmd := &cobra.Command{
		Use:     "demo",
		Short:   "Run a whole fleet on this machine, with origins and traffic",
		GroupID: groupRun,
		Long: `Run a control plane, six load balancers with real HAProxies and agents in three zones, a few origin
servers and a small steady traffic on loopback addresses, as any user. Everything is in one folder and ends
with Ctrl-C; discovery sources may read lists in its subfolder lists, and ask places on loopback. With --seconds
it ends by itself and says of each promise whether it held.`,
		Example: `  weir demo
  weir demo --haproxy .tools/haproxy-3.4/usr/sbin/haproxy --seconds 20`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.seconds < 0 {
				return usagef("--seconds must be positive, not %d", o.seconds)
			}
			return runDemo(cmd.Context(), o, stdout(cmd))
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.dir, "dir", ".demo", "folder of the demo; an earlier demo's is removed")
	f.StringVar(&o.haproxy, "haproxy", "", haproxyUsage)
	f.IntVar(&o.seconds, "seconds", 0, "end after so many seconds with a line per promise; 0 runs until Ctrl-C")
	return cmd
}

// runDemo starts everything in order, and ends it in reverse.
func runDemo(ctx context.Context, o demoOptions, out *screen) error {
	path, err := findHAProxy(ctx, o.haproxy)
	if err != nil {
		if ctx.Err() != nil {
			return context.Canceled
		}
		return fmt.Errorf("%w; in a clone of Weir, make demo fetches one and runs this", err)
	}
	o.haproxy = path
	d := &demo{options: o, out: out, began: time.Now()}
	defer d.end()
	if err := d.prepare(); err != nil {
		return err
	}
	for _, step := range []struct {
		say string
		run func(context.Context) error
	}{
		{"starting the control plane", d.startServer},
		{"starting origin servers in three zones", d.startOrigins},
		{"declaring zones, a group, addresses, pools and sites", d.declare},
		{"enrolling six load balancers", d.startAgents},
		{"waiting until all six were read back", d.converge},
		{"waiting until the health checks have let the servers in", d.admitted},
	} {
		d.say("%s", step.say)
		if err := step.run(ctx); err != nil {
			if ctx.Err() != nil {
				return context.Canceled
			}
			return fmt.Errorf("%s: %w", step.say, err)
		}
	}
	d.startTraffic(ctx)
	d.hints()
	if o.seconds > 0 {
		return d.checkPromises(ctx)
	}
	d.watch(ctx)
	d.say("ending")
	return nil
}

// demo is one run.
type demo struct {
	options demoOptions
	out     *screen
	began   time.Time

	base    string // "127.77"
	ports   demoPorts
	held    []io.Closer // what keeps other demos away
	client  *client
	server  *child
	agents  []*child
	origins []func()
	traffic *traffic
}

// marker tells a demo's folder from one that must not be removed.
const marker = "this-is-a-weir-demo"

func (d *demo) prepare() error {
	dir, err := filepath.Abs(d.options.dir)
	if err != nil {
		return err
	}
	d.options.dir = dir
	entries, err := os.ReadDir(dir)
	if err == nil && len(entries) > 0 {
		if _, err := os.Stat(filepath.Join(dir, marker)); err != nil {
			return fmt.Errorf("%s holds something that is no demo; name another folder with --dir", dir)
		}
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	if err := d.lock(filepath.Join(dir, marker)); err != nil {
		return err
	}
	for _, e := range entries {
		if e.Name() == marker {
			continue
		}
		if err := os.RemoveAll(filepath.Join(dir, e.Name())); err != nil {
			return fmt.Errorf("remove the earlier demo: %w", err)
		}
	}
	base, ports, reserved, err := freePlace(77, 110, plainPorts, otherPorts)
	if err != nil {
		return err
	}
	d.base, d.ports, d.held = base, ports, append(d.held, reserved)
	return nil
}

// lock keeps the folder for this demo until it ends.
func (d *demo) lock(path string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = f.Close()
		return fmt.Errorf("a demo runs in %s; end it first, or name another folder with --dir", filepath.Dir(path))
	}
	d.held = append(d.held, f)
	return nil
}

func (d *demo) path(names ...string) string {
	return filepath.Join(append([]string{d.options.dir}, names...)...)
}

func (d *demo) say(format string, args ...any) {
	d.out.printf("%5.1fs  %s\n", time.Since(d.began).Seconds(), fmt.Sprintf(format, args...))
}

// end stops everything, agents before the control plane.
func (d *demo) end() {
	if d.traffic != nil {
		d.traffic.stop()
	}
	stopAll(append(append([]*child{}, d.agents...), d.server))
	for _, stop := range d.origins {
		stop()
	}
	for _, h := range d.held {
		_ = h.Close()
	}
	_ = os.RemoveAll(d.memory())
}

// hints says how to look at the demo.
func (d *demo) hints() {
	d.out.printf(`
  The console is at %s; your browser will not know the certificate, which is Weir's own.
  Sign in there with the token that this prints:
    cat %s

  The load balancers are at
`, d.client.base, shellQuote(d.path("server", "admin.token")))
	for i, name := range demoNames() {
		d.out.printf("    %-9s http://%s  https://%s:%d\n", name, d.web(i), d.vip(i), d.ports.https)
	}
	d.out.printf("  and LDAP at port %d of each.\n", d.ports.ldap)
	weir := "weir"
	if exe, err := os.Executable(); err == nil {
		weir = exe
		if wd, err := os.Getwd(); err == nil {
			if short, err := filepath.Rel(wd, exe); err == nil && len(short) < len(exe) {
				weir = short
			}
		}
	}
	d.out.printf(`
  In another terminal:
    . %s
    %s status
    %s get sites
    %s describe pool web-az1
    %s drain web-az1-1 --for 10m --reason "trying it out"
    %s history
    curl -H 'Host: www.demo.example' http://%s/api/
  Discovery sources read lists of servers below %s.

  %s

`, shellQuote(d.path("env")), shellQuote(weir), shellQuote(weir), shellQuote(weir), shellQuote(weir), shellQuote(weir), d.web(0), d.path("lists"), d.ending())
}

// ending says when the demo ends.
func (d *demo) ending() string {
	if d.options.seconds == 0 {
		return "Ctrl-C ends it."
	}
	return fmt.Sprintf("It tries what Weir promises and ends by itself after %s.", count(d.options.seconds, "second", "seconds"))
}

// watch tells how the traffic fares until the demo ends.
func (d *demo) watch(ctx context.Context) {
	tick := time.NewTicker(10 * time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			ok, failed, last := d.traffic.counts()
			line := fmt.Sprintf("%d requests answered, %d failed", ok, failed)
			if failed > 0 {
				line += ", the last: " + last
			}
			d.say("%s", line)
		}
	}
}

var errPromise = errors.New("a promise did not hold")

// shellQuote writes a word for a shell, plain where it can be.
func shellQuote(s string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("/._-", r)
	}
	if s != "" && strings.IndexFunc(s, func(r rune) bool { return !plain(r) }) < 0 {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
