package link

import (
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"weir/internal/secrets"
	"weir/internal/weirtest"
)

func TestEnrol(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	dir, token := t.TempDir(), w.token("lb1")
	name, err := Enrol(t.Context(), w.options(dir), Join{Token: token, Agent: "v1\n", HAProxy: strings.Repeat("3", 100)})
	if err != nil || name != "lb1" {
		t.Fatalf("%q, %v", name, err)
	}
	if e := w.reg.last; e.Agent != "v1?" || len(e.HAProxy) != 64 || !strings.HasPrefix(e.Address, "127.") {
		t.Errorf("%+v", e)
	}
	if strings.Contains(fmt.Sprintf("%+v", w.reg.last), token[len(token)-20:]) {
		t.Error("the token's text travelled on")
	}
	for file, mode := range map[string]fs.FileMode{secrets.AgentKeyFile: 0o600, certificateFile: 0o644, trustFile: 0o644} {
		if info, err := os.Stat(filepath.Join(dir, file)); err != nil || info.Mode().Perm() != mode {
			t.Errorf("%s: %v, %v", file, info, err)
		}
	}
	if _, err := Enrol(t.Context(), w.options(dir), Join{Token: w.token("lb2")}); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a folder in use: %v", err)
	}
	if _, err := Enrol(t.Context(), w.options(t.TempDir()), Join{Token: token}); !isStatus(err, http.StatusUnauthorized) {
		t.Errorf("the token again: %v", err)
	}
}

func isStatus(err error, status int) bool {
	var r *refusal
	return errors.As(err, &r) && r.status == status
}

func TestEnrolRefuses(t *testing.T) {
	t.Parallel()
	w, theirs := newWorld(t), newWorld(t)
	dir := t.TempDir()
	if _, err := Enrol(t.Context(), w.options(dir), Join{Token: w.token("lb1"), Name: "lb2"}); !isStatus(err, http.StatusForbidden) {
		t.Errorf("another name than the token's: %v", err)
	}
	if _, err := Enrol(t.Context(), w.options(dir), Join{Token: w.token(""), Name: "../x"}); !isStatus(err, http.StatusBadRequest) {
		t.Errorf("a bad name: %v", err)
	}
	// The token pins the CA: another control plane never sees it.
	if _, err := Enrol(t.Context(), w.options(dir), Join{Token: theirs.token("lb1")}); !errors.Is(err, secrets.ErrPin) {
		t.Errorf("another control plane: %v", err)
	}
	if _, err := Enrol(t.Context(), w.options(dir), Join{Token: "nonsense"}); !errors.Is(err, secrets.ErrNotToken) {
		t.Errorf("no token: %v", err)
	}
	// What failed left nothing that is in the way.
	if _, err := Enrol(t.Context(), w.options(dir), Join{Token: w.token("lb1")}); err != nil {
		t.Errorf("after failures: %v", err)
	}
}

func TestEnrolBodies(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	text, hash := secrets.NewToken("join")
	admin, _ := secrets.NewToken("admin")
	w.reg.tokens[hash] = "lb1"
	try := func(token, body string) int {
		err := post(t.Context(), w.conn(""), w.url+enrolPath, http.Header{"Authorization": {"Bearer " + token}}, []byte(body), nil)
		var r *refusal
		if !errors.As(err, &r) {
			t.Fatalf("%.40s: %v", body, err)
		}
		if strings.Contains(r.detail, "hunter2") {
			t.Errorf("the answer repeats the body: %s", r.detail)
		}
		return r.status
	}
	for _, c := range []struct {
		token, body string
		want        int
	}{
		{"", `{}`, 401},
		{"x", `{}`, 401},
		{admin, `{}`, 401},
		{text, ``, 400},
		{text, `{"csr":"hunter2"}`, 400},
		{text, `{"csr":5}`, 400},
		{text, `{"hunter2":5}`, 400},
		{text, `{"csr":"` + strings.Repeat("x", maxEnrolBody) + `"}`, 413},
	} {
		if got := try(c.token, c.body); got != c.want {
			t.Errorf("%.40s with token %.6s: %d, want %d", c.body, c.token, got, c.want)
		}
	}
	if len(w.reg.tokens) != 1 {
		t.Error("a refusal spent the token")
	}
	last := 0
	for range enrolBurst {
		last = try("x", `{}`)
	}
	if last != http.StatusTooManyRequests {
		t.Errorf("after %d tries: %d", enrolBurst, last)
	}
	w.hub.limiter.refund("127.0.0.1:9") // never more than there were
	w.pass(enrolRefill)
	if got := try("x", `{}`); got != 401 {
		t.Errorf("after a pause: %d", got)
	}
}

func TestLimiterForgets(t *testing.T) {
	t.Parallel()
	l, now := newLimiter(), time.Unix(1e9, 0)
	for i := range 3 * maxAddrs {
		l.allow(fmt.Sprintf("10.%d.%d.%d:1", i>>16, i>>8&255, i&255), now)
	}
	if len(l.full) > maxAddrs {
		t.Errorf("%d addresses", len(l.full))
	}
	l.refund("[2001:db8::1]:1")
	for range enrolBurst {
		l.allow("[2001:db8::1%eth0]:1", now)
	}
	if _, ok := l.allow("[2001:db8::ffff]:9", now); ok {
		t.Error("an address of the same /64 has tries of its own")
	}
	if _, ok := l.allow("not an address", now); !ok {
		t.Error("refused at the first try")
	}
}

func TestRenewsAtHalfLife(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	dir := w.enrol("lb1")
	w.set("edge", 1, many(2), "lb1")
	a := w.agent(dir)
	a.at(1)
	first, told := a.identity().cert.Leaf, len(a.states())
	w.pass(16 * 24 * time.Hour)
	weirtest.Eventually(t, patience, func() error {
		if secrets.Serial(a.identity().cert.Leaf) == secrets.Serial(first) {
			return errors.New("not renewed")
		}
		return nil
	})
	if n := len(a.states()); n != told {
		t.Errorf("%d states were delivered after %d; renewing is no news", n, told)
	}
	w.set("edge", 2, many(3), "lb1")
	a.at(2)
	onDisk, err := openIdentity(dir)
	if err != nil || secrets.Serial(onDisk.cert.Leaf) != secrets.Serial(a.identity().cert.Leaf) {
		t.Errorf("the disk has another certificate, %v", err)
	}
}

func TestRenewsAfterTheControlPlaneWasAway(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	dir := w.enrol("lb1")
	w.set("edge", 1, many(2), "lb1")
	a := w.agent(dir)
	a.at(1)
	copied := w.conn(dir)
	w.stop()
	w.pass(40 * 24 * time.Hour)
	w.start()
	w.set("edge", 2, many(3), "lb1")
	a.at(2)
	weirtest.Eventually(t, patience, func() error { // the new one has been seen
		if on := w.hub.Connected(); len(on) != 1 {
			return fmt.Errorf("connected: %v", on)
		}
		return nil
	})
	// The one that ran out renews once.
	key, err := secrets.OpenAgentKey(dir)
	if err != nil {
		t.Fatal(err)
	}
	csr, err := secrets.CSR(key, "lb1")
	if err != nil {
		t.Fatal(err)
	}
	if err := postJSON(t.Context(), copied, w.url+renewPath, nil, renewRequest{string(csr)}, nil); !isStatus(err, http.StatusForbidden) {
		t.Errorf("a second renewal: %v", err)
	}
	// And with another key not at all.
	other, err := secrets.NewAgentKey(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if csr, err = secrets.CSR(other, "lb1"); err != nil {
		t.Fatal(err)
	}
	if err := postJSON(t.Context(), copied, w.url+renewPath, nil, renewRequest{string(csr)}, nil); !isStatus(err, http.StatusForbidden) {
		t.Errorf("another key: %v", err)
	}
	if err := postJSON(t.Context(), w.conn(""), w.url+renewPath, nil, renewRequest{string(csr)}, nil); !isStatus(err, http.StatusUnauthorized) {
		t.Errorf("without a certificate: %v", err)
	}
}

// TestLostRenewalAnswer renews by hand and throws the answer away; the agent goes on with the old certificate.
func TestLostRenewalAnswer(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	dir := w.enrol("lb1")
	w.set("edge", 1, many(2), "lb1")
	key, err := secrets.OpenAgentKey(dir)
	if err != nil {
		t.Fatal(err)
	}
	csr, err := secrets.CSR(key, "lb1")
	if err != nil {
		t.Fatal(err)
	}
	if err := postJSON(t.Context(), w.conn(dir), w.url+renewPath, nil, renewRequest{string(csr)}, nil); err != nil {
		t.Fatal(err)
	}
	a := w.agent(dir)
	a.at(1)
	w.pass(16 * 24 * time.Hour)
	old := secrets.Serial(a.identity().cert.Leaf)
	weirtest.Eventually(t, patience, func() error {
		if secrets.Serial(a.identity().cert.Leaf) == old {
			return errors.New("not renewed")
		}
		return nil
	})
}
