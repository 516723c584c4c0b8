package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"weir/internal/server"
	"weir/internal/weirtest"
)

// The pair that the tests' backups are made for.
const (
	backupRecipient = "age1fujymj7cuye304zakp49v2ur93krv7fw5ucl77ec29qqyrpsqs7qhxa9pu"
	backupIdentity  = "AGE-SECRET-KEY-1VQYZLHSYVRL5D95KHS02H764ALSW59G7UVS58GV2FPX5FQW5ATDS0K0JV6"
)

// backup makes one and gives its bytes.
func (w *world) backup() []byte {
	w.t.Helper()
	request, err := http.NewRequestWithContext(w.t.Context(), "POST", w.url+"/api/v1/backup?recipient="+url.QueryEscape(backupRecipient), nil)
	if err != nil {
		w.t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+w.token)
	answer, err := w.client.Do(request)
	if err != nil {
		w.t.Fatal(err)
	}
	defer answer.Body.Close()
	raw, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != 200 {
		w.t.Fatalf("backup: %d %v %.300s", answer.StatusCode, err, raw)
	}
	return raw
}

func (w *world) serverDir() string { return filepath.Join(w.dir, fmt.Sprint("server", w.host)) }

// lose takes everything away from the control plane but its sealing key, and keeps that as people do.
func (w *world) lose() {
	w.t.Helper()
	w.stopServer()
	key, err := os.ReadFile(filepath.Join(w.serverDir(), "sealing.key"))
	if err != nil && w.etcd == nil {
		w.t.Fatal(err)
	}
	if err := os.RemoveAll(w.serverDir()); err != nil {
		w.t.Fatal(err)
	}
	if w.etcd != nil {
		return
	}
	if err := os.MkdirAll(w.serverDir(), 0o700); err != nil {
		w.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(w.serverDir(), "sealing.key"), key, 0o600); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) restoreFrom(raw []byte) {
	w.t.Helper()
	done, err := server.Restore(w.t.Context(), server.Options{Dir: w.serverDir(), Cluster: w.cluster(), SealingKey: w.sealingKey(), Log: w.log}, bytes.NewReader(raw), backupIdentity)
	if err != nil {
		w.t.Fatal(err)
	}
	if done.Tokens == 0 || done.Revision != done.Backup.Revision+1 {
		w.t.Errorf("restored: %+v", done)
	}
}

// restorePlan is the part of the plan that tests look at.
type restorePlan struct {
	Restored struct{ Held bool }
	Plan     struct {
		LoadBalancers []struct {
			Name      string
			Sentences []string
			Commands  []string
			Reload    []struct{ Text string }
		}
	}
	Same      []string
	Unknown   []struct{ Name, Why string }
	Strangers []struct{ Name string }
	Silent    []string
}

// planned waits until everybody who runs has told what they have.
func (w *world) planned(unknown int, strangers ...string) restorePlan {
	w.t.Helper()
	var p restorePlan
	weirtest.Eventually(w.t, waitLong, func() error {
		p = restorePlan{}
		if _, err := w.call("GET", "/api/v1/restore/plan", "", &p); err != nil {
			return err
		}
		var came []string
		for _, s := range p.Strangers {
			came = append(came, s.Name)
		}
		if len(p.Unknown) != unknown || !slices.Equal(came, strangers) {
			return fmt.Errorf("unknown: %+v, strangers: %v, silent: %v", p.Unknown, came, p.Silent)
		}
		return nil
	})
	return p
}

func (w *world) accept() {
	w.t.Helper()
	if _, err := w.call("POST", "/api/v1/restore/accept?reason=test", "", nil); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) export() string {
	w.t.Helper()
	var all []string
	for _, kind := range []string{"zones", "loadbalancergroups", "loadbalancers", "ipaddresses", "pools", "sites", "servers", "certificates", "secrets", "grants"} {
		var list struct{ Items []map[string]any }
		if _, err := w.call("GET", "/api/v1/"+kind, "", &list); err != nil {
			w.t.Fatal(err)
		}
		for _, o := range list.Items {
			delete(o, "status")
			raw, err := json.Marshal(o)
			if err != nil {
				w.t.Fatal(err)
			}
			all = append(all, string(raw))
		}
	}
	return strings.Join(all, "\n")
}

// A fleet runs, a backup is made, things change, and the control plane's data is lost. Restored at the same address,
// it holds: HAProxies serve on as they were, the plan says what would be taken back, and nothing moves until that is
// accepted. Whoever joined after the backup is named and serves on.
func TestRestoreIntoARunningFleet(t *testing.T) {
	t.Parallel()
	h := weirtest.HAProxies(t)[0]
	w := newWorld(t)
	w.origin(200, "web1")
	w.origin(201, "web2")
	w.apply(w.oneZone())
	w.apply("kind: Secret\nmetadata: {name: canary}\nspec: {data: canary-of-the-fleet}\n")
	w.join("lb1", "edge", "az1", h, "")
	w.converged(1)
	at := w.at(17).String() + ":8080"
	w.serves(at, "www.example.com", "/")
	clients := w.send(at, "www.example.com")
	clients.more(50)
	raw, before := w.backup(), w.export()
	if bytes.Contains(raw, []byte("example.com")) {
		t.Error("the backup is not encrypted")
	}

	// After the backup: another server, another site, another load balancer.
	w.apply(w.twoServers())
	w.apply("kind: LoadBalancerGroup\nmetadata: {name: other}\nspec: {ranges: [" + w.at(32).String() + "/32]}\n")
	w.join("late", "other", "az1", h, "")
	w.converged(1)
	w.health("web", "web2", "up")
	w.onlyFrom(at, "www.example.com", "web1", "web2")
	oldToken, reloads := w.token, w.reloads()

	w.lose()
	clients.more(20)
	w.restoreFrom(raw)
	w.startServer()
	if w.token == oldToken {
		t.Error("the first admin's token is the old one")
	}
	fresh := w.token
	w.token = oldToken
	if code, _ := w.call("GET", "/api/v1/whoami", "", nil); code != 401 {
		t.Errorf("the old token: %d", code)
	}
	w.token = fresh
	if after := w.export(); after != before {
		t.Errorf("restored:\n%s\nwas:\n%s", after, before)
	}
	p := w.planned(0, "late")
	if len(p.Plan.LoadBalancers) != 1 || p.Plan.LoadBalancers[0].Name != "lb1" || !p.Restored.Held {
		t.Fatalf("the plan: %+v", p)
	}
	if all := strings.Join(p.Plan.LoadBalancers[0].Commands, "\n"); !strings.Contains(all, "web2") {
		t.Errorf("the plan does not take web2 back: %+v", p.Plan.LoadBalancers[0])
	}
	// What is changed meanwhile is not sent, and nothing moves.
	w.apply("kind: Zone\nmetadata: {name: while-held}\n")
	w.planned(0, "late")
	w.onlyFrom(at, "www.example.com", "web1", "web2")
	var status struct {
		Restored  struct{ Held bool }
		Strangers []struct{ Name string }
	}
	if _, err := w.call("GET", "/api/v1/status", "", &status); err != nil || !status.Restored.Held || len(status.Strangers) != 1 {
		t.Errorf("status: %+v %v", status, err)
	}
	// The server starts anew, and holds still.
	w.stopServer()
	w.startServer()
	w.planned(0, "late")
	w.onlyFrom(at, "www.example.com", "web1", "web2")
	clients.more(20)

	w.accept()
	w.converged(1)
	w.onlyFrom(at, "www.example.com", "web1")
	w.converged(w.apply("kind: Zone\nmetadata: {name: afterwards}\n"))
	clients.more(50)
	clients.flawless()
	if n := w.reloads() - reloads; n > 0 {
		t.Errorf("%d reloads", n)
	}
	if code, err := w.call("POST", "/api/v1/restore/accept?reason=again", "", nil); code != 409 {
		t.Errorf("accepted twice: %d %v", code, err)
	}
}

// Onto three members of etcd with two control planes: both hold, either plans for all, and one word lets both go.
func TestRestoreOntoACluster(t *testing.T) {
	t.Parallel()
	h := weirtest.HAProxies(t)[0]
	one, two := newCluster(t)
	one.origin(200, "web1")
	one.origin(201, "web2")
	one.apply(one.oneZone())
	one.join("lb1", "edge", "az1", h, "")
	two.converged(1)
	at := one.at(17).String() + ":8080"
	one.serves(at, "www.example.com", "/")
	clients := one.send(at, "www.example.com")
	raw := one.backup()
	two.converged(one.apply(one.twoServers()))
	one.health("web", "web2", "up")
	one.onlyFrom(at, "www.example.com", "web1", "web2")

	one.stopServer()
	two.stopServer()
	if _, err := server.Restore(t.Context(), server.Options{Dir: one.serverDir(), Cluster: one.cluster(), SealingKey: one.sealingKey()}, bytes.NewReader(raw), backupIdentity); err == nil || !strings.Contains(err.Error(), "not empty") {
		t.Errorf("restored into a full cluster: %v", err)
	}
	one.etcd.Lose()
	one.lose()
	two.lose()
	one.restoreFrom(raw)
	one.startServer()
	two.token = one.token
	two.startServer()
	for _, w := range []*world{one, two} {
		if p := w.planned(0); len(p.Plan.LoadBalancers) != 1 || len(p.Silent) > 0 {
			t.Errorf("at %s: %+v", w.url, p)
		}
	}
	one.onlyFrom(at, "www.example.com", "web1", "web2")
	two.accept()
	one.converged(1)
	two.converged(1)
	one.onlyFrom(at, "www.example.com", "web1")
	two.converged(one.apply("kind: Zone\nmetadata: {name: afterwards}\n"))
	clients.more(20)
	clients.flawless()
}

// A control plane that finds half a restore does not serve, and says what to do.
func TestHalfARestoreIsNotServed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	raw := w.backup()
	w.lose()
	ctx, cancel := context.WithCancel(t.Context())
	cut := &cutter{Reader: bytes.NewReader(raw), cut: cancel}
	if _, err := server.Restore(ctx, server.Options{Dir: w.serverDir()}, cut, backupIdentity); err == nil {
		t.Fatal("it was not cut off")
	}
	bound, end := context.WithTimeout(t.Context(), waitLong)
	defer end()
	err := server.Run(bound, server.Options{Dir: w.serverDir(), Listen: w.at(1).String() + ":7443"})
	if err == nil || !strings.Contains(err.Error(), "run weir server restore again") {
		t.Errorf("it serves: %v", err)
	}
	w.restoreFrom(raw)
	w.startServer()
	w.planned(0)
}

// cutter ends what reads a file once it has begun to read that for the second time.
type cutter struct {
	*bytes.Reader
	again bool
	cut   func()
}

func (c *cutter) Seek(offset int64, whence int) (int64, error) {
	c.again = true
	return c.Reader.Seek(offset, whence)
}

func (c *cutter) Read(p []byte) (int, error) {
	if c.again {
		c.cut()
	}
	return c.Reader.Read(p)
}

// The server makes backups by itself, keeps the newest few, goes on after a restart, and makes none of a store whose
// restore nobody has accepted.
func TestServerMakesBackups(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(weirtest.TempDir(t), "backups")
	w := &world{t: t, dir: weirtest.TempDir(t), prefix: weirtest.Prefix(t), host: 1, agents: map[string]*runningAgent{}}
	w.log = slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	w.backups = &server.Backups{Dir: dir, Recipients: []string{backupRecipient}, Every: time.Second, Keep: 2}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	mine := filepath.Join(dir, "weir-mine.age")
	if err := os.WriteFile(mine, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	w.startServer()
	seen := map[string]bool{}
	newest := func(more int) string {
		t.Helper()
		var last string
		from := len(seen)
		weirtest.Eventually(t, waitLong, func() error {
			list, err := filepath.Glob(filepath.Join(dir, "weir-2*.age"))
			if err != nil || len(list) == 0 {
				return fmt.Errorf("backups: %v %v", list, err)
			}
			for _, f := range list {
				seen[f] = true
			}
			last = list[len(list)-1]
			if len(seen) < from+more || len(list) > 2 {
				return fmt.Errorf("%d were seen, there are %v", len(seen), list)
			}
			return nil
		})
		return last
	}
	newest(3)
	w.stopServer()
	w.startServer()
	var raw []byte
	file := newest(2)
	weirtest.Eventually(t, waitLong, func() (err error) { // it may have gone for newer ones
		if raw, err = os.ReadFile(file); err != nil {
			file = newest(0)
		}
		return err
	})
	key, err := os.ReadFile(filepath.Join(w.serverDir(), "sealing.key"))
	if err != nil {
		t.Fatal(err)
	}
	if info, err := server.VerifyBackup(bytes.NewReader(raw), backupIdentity, string(key)); err != nil || info.Revision == 0 {
		t.Errorf("%+v %v", info, err)
	}
	if _, err := os.Stat(mine); err != nil {
		t.Errorf("a file that is not its own was removed: %v", err)
	}
	metrics, err := http.Get("http://" + w.at(1).String() + ":7444/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer metrics.Body.Close()
	if text, _ := io.ReadAll(metrics.Body); !bytes.Contains(text, []byte("\nweir_backup_timestamp_seconds 1")) {
		t.Error("metrics do not tell of backups")
	}

	w.lose()
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	w.restoreFrom(raw)
	w.startServer()
	w.planned(0)
	if list, _ := filepath.Glob(filepath.Join(dir, "*")); len(list) > 0 {
		t.Errorf("backups of a store that is held: %v", list)
	}
	err = server.Run(t.Context(), server.Options{Dir: filepath.Join(w.dir, "bad"), Listen: w.at(2).String() + ":7443", Backups: &server.Backups{Dir: dir, Recipients: []string{"nonsense"}, Every: time.Hour, Keep: 1}})
	if err == nil || !strings.Contains(err.Error(), "public keys of age") {
		t.Errorf("it starts without knowing for whom: %v", err)
	}
}
