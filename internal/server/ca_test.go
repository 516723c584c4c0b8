package server

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"weir/internal/api"
	"weir/internal/secrets"
	"weir/internal/weirtest"
)

// killDir and killListen, when set, make the test binary a control plane until it is killed.
const (
	killDir    = "WEIR_SERVER_KILL_DIR"
	killListen = "WEIR_SERVER_KILL_LISTEN"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(killDir); dir != "" {
		err := Run(context.Background(), Options{Dir: dir, Listen: os.Getenv(killListen), Ready: func(Listening) { fmt.Println("ready") }})
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// killable is a control plane in a process of its own.
type killable struct {
	t           *testing.T
	dir, listen string
	process     *weirtest.Process
}

func (k *killable) start() {
	k.t.Helper()
	binary, err := os.Executable()
	if err != nil {
		k.t.Fatal(err)
	}
	k.process = weirtest.CommandFunc(k.t, func(c *exec.Cmd) {
		c.Env = append(os.Environ(), killDir+"="+k.dir, killListen+"="+k.listen)
	}, binary)
	weirtest.Eventually(k.t, weirtest.Patience, func() error {
		if !strings.Contains(k.process.Output(), "ready") {
			return fmt.Errorf("not ready: %s", k.process.Output())
		}
		return nil
	})
}

// ask makes one request, on a connection that believes what the data folder says.
func (k *killable) ask(method, path string, out any) error {
	bundle, err := os.ReadFile(filepath.Join(k.dir, bundleFile))
	if err != nil {
		return err
	}
	trust, err := secrets.ParseTrust(bundle)
	if err != nil {
		return err
	}
	host, _, _ := strings.Cut(k.listen, ":")
	config, err := secrets.ClientTLS(secrets.ClientConfig{ServerName: host, Trust: trust, Now: time.Now})
	if err != nil {
		return err
	}
	token, err := os.ReadFile(filepath.Join(k.dir, tokenFile))
	if err != nil {
		return err
	}
	transport := &http.Transport{TLSClientConfig: config}
	defer transport.CloseIdleConnections()
	request, err := http.NewRequestWithContext(k.t.Context(), method, "https://"+k.listen+path, nil)
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(token)))
	answer, err := transport.RoundTrip(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	raw, err := io.ReadAll(answer.Body)
	if err != nil {
		return err
	}
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("%d: %s", answer.StatusCode, raw)
	}
	return json.Unmarshal(raw, out)
}

// The server is killed at any moment of each step; the same command goes on, however often that happens, and the
// keys and certificates always belong together.
func TestKilledWhileTheCAChanges(t *testing.T) {
	t.Parallel()
	k := &killable{t: t, dir: weirtest.TempDir(t), listen: weirtest.Addr(t) + ":7443"}
	k.start()
	chance := rand.New(rand.NewPCG(1, uint64(os.Getpid())))
	for _, step := range []struct {
		step  api.CAStep
		phase string
	}{{api.CABegin, api.CAAnnounced}, {api.CAContinue, api.CAIssuing}, {api.CAFinish, api.CASteady}} {
		for range 2 {
			asked := make(chan struct{})
			go func() {
				defer close(asked)
				_ = k.ask("POST", "/api/v1/ca/rotate?step="+string(step.step), new(api.CAChange)) // it may be cut
			}()
			killed := time.NewTimer(time.Duration(chance.IntN(30)) * time.Millisecond)
			<-killed.C
			k.process.Kill()
			<-asked
			k.start()
		}
		var change api.CAChange
		weirtest.Eventually(t, weirtest.Patience, func() error {
			return k.ask("POST", "/api/v1/ca/rotate?step="+string(step.step), &change)
		})
		if change.Phase != step.phase {
			t.Fatalf("after %s the phase is %s", step.step, change.Phase)
		}
		weirtest.Eventually(t, weirtest.Patience, func() error {
			var s api.CAStatus
			if err := k.ask("GET", "/api/v1/ca", &s); err != nil {
				return err
			}
			for _, server := range s.Servers {
				if !server.Knows || step.step != api.CABegin && !server.Uses {
					return fmt.Errorf("%+v", s.Servers)
				}
			}
			return nil
		})
	}
}
