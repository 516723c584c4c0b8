package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"syscall"

	"weir/internal/hapctl"
	"weir/internal/weirtest"
)

// condition is one statement of an object's status.
type condition struct {
	Type, Status, Reason, Message string
	Ready, Of                     int
}

// conditions reads an object's status, by type; address is as "sites/www".
func (w *world) conditions(address string) map[string]condition {
	w.t.Helper()
	var o struct {
		Status struct{ Conditions []condition }
	}
	if _, err := w.call("GET", "/api/v1/"+address, "", &o); err != nil {
		w.t.Fatal(err)
	}
	byType := map[string]condition{}
	for _, c := range o.Status.Conditions {
		byType[c.Type] = c
	}
	return byType
}

// says waits for a condition with a status and words in its message.
func (w *world) says(address, kind, status string, words ...string) {
	w.t.Helper()
	weirtest.Eventually(w.t, waitLong, func() error {
		c := w.conditions(address)[kind]
		if c.Status != status {
			return fmt.Errorf("%s: %s is %q: %+v", address, kind, c.Status, c)
		}
		for _, word := range words {
			if !strings.Contains(c.Message, word) {
				return fmt.Errorf("%s: %s says %q, without %q", address, kind, c.Message, word)
			}
		}
		return nil
	})
}

// folder is where the HAProxy of a load balancer has its files.
func (a *runningAgent) folder() string { return filepath.Join(a.dir, "haproxy") }

// socket gives a client of a load balancer's run-time socket, for looking and for meddling.
func (w *world) socket(a *runningAgent) *hapctl.Client {
	c := hapctl.NewClient(filepath.Join(a.folder(), "run", "admin.sock"))
	w.t.Cleanup(c.Close)
	return c
}

// do sends one command by hand.
func (w *world) do(a *runningAgent, words ...string) string {
	w.t.Helper()
	cmd, err := hapctl.NewCommand(words...)
	if err != nil {
		w.t.Fatal(err)
	}
	client := hapctl.NewClient(filepath.Join(a.folder(), "run", "admin.sock"))
	defer client.Close()
	var answer hapctl.Answer
	weirtest.Eventually(w.t, waitLong, func() error {
		answer, err = client.Do(w.t.Context(), cmd)
		if err != nil && !strings.Contains(err.Error(), "Can't show!") { // so says HAProxy while others are at the certificates
			w.t.Fatalf("%s: %v", strings.Join(words, " "), err)
		}
		return err
	})
	return answer.Text
}

// killHAProxy ends a load balancer's HAProxy, master and workers, with no time to finish anything.
func (w *world) killHAProxy(a *runningAgent) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), waitLong)
	defer cancel()
	p, err := hapctl.Attach(ctx, hapctl.Options{Path: a.haproxy.Path, Dir: a.folder()})
	if err != nil {
		w.t.Fatal(err)
	}
	if err := syscall.Kill(-p.Pid(), syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
		w.t.Fatal(err)
	}
	<-p.Done()
}

// restartAll stops the control plane, the agents and their HAProxies, and starts them again on the same folders.
func (w *world) restartAll() {
	w.t.Helper()
	w.stopServer()
	for _, a := range w.agents {
		a.stop()
	}
	w.startServer()
	for _, a := range w.agents {
		w.startAgent(a)
	}
}

// raw reads an object as JSON without its status, as it can be applied again.
func (w *world) raw(address string) map[string]any {
	w.t.Helper()
	var o map[string]any
	if _, err := w.call("GET", "/api/v1/"+address, "", &o); err != nil {
		w.t.Fatal(err)
	}
	return o
}

func toJSON(v any) string {
	raw, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(raw)
}
