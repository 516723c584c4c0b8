package e2e

import (
	"bufio"
	"context"
	"crypto/sha1"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"weir"
	"weir/internal/register"
	"weir/internal/weirtest"
)

// stats asks for the page of statistics, and to drain a server of stackauth unless that is "".
func (e *example) stats(user, password, drain string) visited {
	e.t.Helper()
	method, form := "GET", url.Values{}
	if drain != "" {
		method, form = "POST", url.Values{"s": {drain}, "b": {"be-stackauth"}, "action": {"drain"}}
	}
	request, err := http.NewRequestWithContext(e.t.Context(), method, "http://"+e.at(2).String()+":7070/", strings.NewReader(form.Encode()))
	if err != nil {
		e.t.Fatal(err)
	}
	if drain != "" {
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if user != "" {
		request.SetBasicAuth(user, password)
	}
	return e.exchange(&http.Transport{DisableKeepAlives: true}, request)
}

// saysBack takes a WebSocket and says back what it hears.
func saysBack(w http.ResponseWriter, r *http.Request) {
	accepted := sha1.Sum([]byte(r.Header.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11")) // RFC 6455, 1.3
	conn, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "+
		base64.StdEncoding.EncodeToString(accepted[:])+"\r\n\r\n"); err == nil {
		_, _ = io.Copy(conn, rw)
	}
}

// webSocket opens one and is heard.
func (e *example) webSocket(v visit) error {
	conn, err := v.dial(e.t.Context())
	if err != nil {
		return err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(waitLong))
	if _, err := fmt.Fprintf(conn, "GET /live HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", v.host); err != nil {
		return err
	}
	reader := bufio.NewReader(conn)
	answer, err := http.ReadResponse(reader, nil)
	if err != nil {
		return err
	}
	if answer.StatusCode != http.StatusSwitchingProtocols {
		return errors.New(answer.Status)
	}
	for _, word := range []string{"first\n", "second\n"} {
		if _, err := io.WriteString(conn, word); err != nil {
			return err
		}
		if got, err := reader.ReadString('\n'); got != word {
			return fmt.Errorf("said %q, heard %q: %v", word, got, err)
		}
	}
	return nil
}

// logLine is what a test looks at of a line of the access log.
type logLine struct {
	Path  string            `json:"u"`
	Asked map[string]string `json:"rq"`
	Given map[string]string `json:"rs"`
}

// listens takes the place of an agent at the end of HAProxy's log, and gives what waits for the line of a path.
func (e *example) listens(a *runningAgent) func(path string) (logLine, error) {
	e.t.Helper()
	a.stop()
	var place struct{ Addr string }
	raw, err := os.ReadFile(filepath.Join(a.dir, "log.json"))
	if err == nil {
		err = json.Unmarshal(raw, &place)
	}
	if err != nil {
		e.t.Fatal(err)
	}
	conn, err := net.ListenPacket("udp", place.Addr)
	if err != nil {
		e.t.Fatal(err)
	}
	e.t.Cleanup(func() { conn.Close() })
	_ = conn.SetReadDeadline(time.Now().Add(waitLong))
	return func(path string) (logLine, error) {
		b := make([]byte, 16<<10)
		for {
			n, _, err := conn.ReadFrom(b)
			if err != nil {
				return logLine{}, err
			}
			var l logLine
			if json.Unmarshal(b[:n], &l) == nil && l.Path == path {
				return l, nil
			}
		}
	}
}

// registers runs what stands beside a service: it says that a server is well as long as /app answers there.
func (e *example) registers(token, name, address string) {
	e.t.Helper()
	dir := weirtest.TempDir(e.t)
	raw, err := json.Marshal(map[string]any{
		"controlPlane": []string{e.url}, "ca": e.caHash, "tokenFile": "register.token", "name": name, "address": address, "ports": map[string]int{"http": 8080},
		"checks": []any{map[string]any{"http": map[string]string{"url": "http://" + address + ":8080/app"}, "interval": "300ms", "timeout": "20s"}}, "drainTime": "1s",
	})
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "service.yaml"), raw, 0o600)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "register.token"), []byte(token), 0o600)
	}
	if err != nil {
		e.t.Fatal(err)
	}
	service, err := register.Read(filepath.Join(dir, "service.yaml"))
	if err != nil {
		e.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var done sync.WaitGroup
	done.Go(func() {
		_ = register.Run(ctx, register.Options{Service: service, State: dir, Log: slog.New(slog.DiscardHandler)})
	})
	e.t.Cleanup(func() { cancel(); done.Wait() })
}

// tokenOf makes a token and gives its text.
func (e *example) tokenOf(spec string) string {
	e.t.Helper()
	var made struct{ Token string }
	if _, err := e.call("POST", "/api/v1/tokens", spec, &made); err != nil {
		e.t.Fatal(err)
	}
	return made.Token
}

// by tries to change a pool of a role with a token of somebody's.
func (e *example) by(who, role string, want int) error {
	token := e.tokenOf(fmt.Sprintf(`{"kind":"Token","metadata":{"name":"%s-%s"},"spec":{"subject":%q}}`, who, role, who))
	admin := e.token
	defer func() { e.token = admin }()
	e.token = token
	status, err := e.call("POST", "/api/v1/apply?reason=test", fmt.Sprintf("kind: AccessList\nmetadata: {name: by-%s, role: %s}\nspec: {networks: [192.0.2.0/24]}\n", who, role), nil)
	if status != want {
		return fmt.Errorf("%d %v", status, err)
	}
	return nil
}

// trusts gives the authority of an Issuer to those who believe it.
func (e *example) trusts(issuer string) *x509.CertPool {
	e.t.Helper()
	pool := x509.NewCertPool()
	pool.AddCert(e.authority(issuer))
	return pool
}

// authority is the certificate of an Issuer of type ca.
func (e *example) authority(issuer string) (cert *x509.Certificate) {
	e.t.Helper()
	weirtest.Eventually(e.t, waitLong, func() error {
		var o struct{ Spec weir.Issuer }
		if _, err := e.call("GET", "/api/v1/issuers/"+issuer, "", &o); err != nil {
			return err
		}
		block, _ := pem.Decode([]byte(o.Spec.Chain))
		if block == nil {
			return fmt.Errorf("%s has no certificate yet", issuer)
		}
		var err error
		cert, err = x509.ParseCertificate(block.Bytes)
		return err
	})
	return cert
}

// sources lets a load balancer come to its servers from networks of the machine.
func (e *example) sources(name string, networks ...string) {
	e.t.Helper()
	var o struct{ Spec map[string]any }
	if _, err := e.call("GET", "/api/v1/loadbalancers/"+name, "", &o); err != nil {
		e.t.Fatal(err)
	}
	o.Spec["sourceAddresses"] = networks
	raw, err := json.Marshal(map[string]any{"kind": "LoadBalancer", "metadata": map[string]string{"name": name}, "spec": o.Spec})
	if err != nil {
		e.t.Fatal(err)
	}
	e.converged(e.apply(string(raw)))
}
