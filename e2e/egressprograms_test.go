package e2e

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"weir/internal/api"
)

// detour is a proxy that takes the connections of programs from an address to a load balancer, whatever name they ask for.
func detour(t *testing.T, from, to string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	proxy := &http.Server{Handler: http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		there, err := (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}).DialContext(r.Context(), "tcp", to)
		if err != nil || r.Method != "CONNECT" {
			http.Error(rw, fmt.Sprint("a detour for CONNECT: ", err), http.StatusBadGateway)
			return
		}
		defer there.Close()
		here, buffered, err := rw.(http.Hijacker).Hijack()
		if err != nil {
			return
		}
		defer here.Close()
		_, _ = io.WriteString(here, "HTTP/1.1 200 OK\r\n\r\n")
		var both sync.WaitGroup
		both.Go(func() {
			_, _ = io.Copy(there, buffered)
			_ = there.(*net.TCPConn).CloseWrite()
		})
		_, _ = io.Copy(here, there)
		here.Close()
		both.Wait()
	})}
	go func() { _ = proxy.Serve(l) }()
	t.Cleanup(func() { proxy.Close() })
	return l.Addr().String()
}

// programs runs those that are composed for a call, in all languages that are installed, with a certificate in the place of
// the files that they name, and gives for each what it printed, and whether it succeeded.
func (w *world) programs(query, proxy string, trusted *authority, shows keyPair) map[string]string {
	w.t.Helper()
	var composed api.EgressURLAnswer
	if _, err := w.call("GET", "/api/v1/egressclients/"+query, "", &composed); err != nil {
		w.t.Fatal(err)
	}
	if len(composed.URLs) != 1 || composed.Refused != "" || composed.Certificate == "" {
		w.t.Fatalf("composed %+v", composed)
	}
	dir := w.t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			w.t.Fatal(err)
		}
		return path
	}
	roots := write("roots.pem", trusted.pem)
	write("client.pem", shows.chain)
	write("client-key.pem", shows.key)
	host, port, _ := net.SplitHostPort(proxy)
	environment := append(os.Environ(), "HTTPS_PROXY=http://"+proxy, "SSL_CERT_FILE="+roots, "CURL_CA_BUNDLE="+roots,
		"JAVA_TOOL_OPTIONS=-XX:TieredStopAtLevel=1 -Djavax.net.ssl.trustStore=trusted.p12 -Djavax.net.ssl.trustStorePassword=changeit -Dhttps.proxyHost="+host+" -Dhttps.proxyPort="+port)
	run := func(name string, arguments ...string) (string, error) {
		c := exec.CommandContext(w.t.Context(), name, arguments...)
		c.Dir, c.Env = dir, environment
		out, err := c.CombinedOutput()
		return string(out), err
	}
	printed := map[string]string{}
	for _, s := range composed.URLs[0].Snippets {
		var command []string
		switch s.Language {
		case "curl":
			command = []string{"sh", write("call.sh", s.Text)}
		case "python":
			command = []string{"python3", write("call.py", s.Text)}
		case "go":
			// Go programs look for no proxy unless they are told to.
			command = []string{"go", "run", write("call.go", strings.Replace(s.Text, "&http.Transport{", "&http.Transport{Proxy: http.ProxyFromEnvironment,", 1))}
		case "java":
			command = []string{"java", write("Call.java", s.Text)}
			for _, made := range [][]string{
				{"openssl", "pkcs12", "-export", "-in", "client.pem", "-inkey", "client-key.pem", "-out", "client.p12", "-passout", "pass:changeit"},
				{"keytool", "-importcert", "-noprompt", "-file", "roots.pem", "-keystore", "trusted.p12", "-storetype", "PKCS12", "-storepass", "changeit"},
			} {
				if _, err := exec.LookPath(made[0]); err != nil {
					command[0] = made[0]
				} else if out, err := run(made[0], made[1:]...); err != nil {
					w.t.Fatalf("%v: %v\n%s", made, err, out)
				}
			}
		}
		if _, err := exec.LookPath(command[0]); err != nil && s.Language != "curl" && s.Language != "go" {
			w.t.Logf("no %s here", command[0])
			continue
		}
		out, err := run(command[0], command[1:]...)
		printed[s.Language] = fmt.Sprintf("%t %s", err == nil, out)
	}
	return printed
}
