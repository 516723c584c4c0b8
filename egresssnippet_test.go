package weir_test

import (
	"fmt"
	"go/format"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"weir"
)

// Snippets run as they stand, wherever their language is installed: they make the call that they say, print what is
// answered, and fail with what a refusal says.
func TestEgressSnippetsRun(t *testing.T) {
	t.Parallel()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if strings.HasSuffix(r.URL.Path, "/no") {
			w.WriteHeader(http.StatusForbidden)
		}
		fmt.Fprintf(w, "%s %s %s%s", r.Method, r.RequestURI, r.Header.Get("Content-Type"), body)
	}))
	t.Cleanup(srv.Close)
	need := map[string]string{"curl": "curl", "java": "java", "python": "python3", "go": "go"}
	run := func(language, text string) (string, error) {
		dir := t.TempDir()
		file := filepath.Join(dir, map[string]string{"curl": "call.sh", "java": "Call.java", "python": "call.py", "go": "call.go"}[language])
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		command := map[string][]string{"curl": {"sh", file}, "java": {"java", "-XX:TieredStopAtLevel=1", file}, "python": {"python3", file}, "go": {"go", "run", file}}[language]
		c := exec.CommandContext(t.Context(), command[0], command[1:]...)
		out, err := c.CombinedOutput()
		return string(out), err
	}
	for _, method := range []string{"GET", "POST"} {
		sends := ""
		if method == "POST" {
			sends = "application/json{}"
		}
		for _, path := range []string{"/myback/prod/example/prod/www/high/a%2Fb?x=1&y=%25d", "/no"} {
			for _, s := range weir.EgressSnippets(srv.URL+path, method, "", nil) {
				if _, err := exec.LookPath(need[s.Language]); err != nil && s.Language != "go" {
					t.Logf("no %s here", s.Language)
					continue
				}
				if path == "/no" && method == "POST" {
					continue // the same lines as with GET
				}
				out, err := run(s.Language, s.Text)
				if want := fmt.Sprintf("%s %s %s", method, path, sends); !strings.Contains(out, want) || (err != nil) != (path == "/no") {
					t.Errorf("%s: %v, want %q\n%s\n%s", s.Language, err, want, out, s.Text)
				}
				if s.Language != "go" {
					continue
				}
				if formatted, err := format.Source([]byte(s.Text)); err != nil || string(formatted) != s.Text {
					t.Errorf("is not as gofmt has it: %v\n%s", err, s.Text)
				}
			}
		}
	}
}

// How long programs wait follows from the level, and how the method is said from the method.
func TestEgressSnippets(t *testing.T) {
	t.Parallel()
	level := &weir.SLA{Server: weir.Duration(1500 * time.Millisecond)}
	level.Normalize()
	for _, test := range []struct {
		method, language, want string
		retries                *weir.SLARetries
	}{
		{"GET", "curl", "curl --fail-with-body 'https://a/b'\n", nil},
		{"HEAD", "curl", "curl --fail-with-body --head 'https://a/b'\n", nil},
		{"DELETE", "curl", "curl --fail-with-body --request DELETE 'https://a/b'\n", nil},
		{"PUT", "curl", "curl --fail-with-body --request PUT --header 'Content-Type: application/json' --data '{}' 'https://a/b'\n", nil},
		{"GET", "python", "timeout=8)", nil},
		{"GET", "java", "ofSeconds(27)", &weir.SLARetries{}},
	} {
		level.Retries = test.retries
		for _, s := range weir.EgressSnippets("https://a/b", test.method, "", level) {
			if s.Language == test.language && !strings.Contains(s.Text, test.want) {
				t.Errorf("%s %s: want %q in\n%s", test.method, test.language, test.want, s.Text)
			}
		}
	}
	// What shows a certificate says which, and what its files stand for; TestApplicationsShowCertificates runs it.
	for _, method := range []string{"GET", "POST"} {
		for _, s := range weir.EgressSnippets("https://a/b", method, "CN=myback,O=Example", level) {
			for _, want := range []string{"the certificate of CN=myback,O=Example", weir.EgressCertificateFile, weir.EgressKeyFile, "https://a/b"} {
				if !strings.Contains(s.Text, want) {
					t.Errorf("%s %s: no %q in\n%s", method, s.Language, want, s.Text)
				}
			}
			if formatted, err := format.Source([]byte(s.Text)); s.Language == "go" && (err != nil || string(formatted) != s.Text) {
				t.Errorf("is not as gofmt has it: %v\n%s", err, s.Text)
			}
		}
	}
}
