// Package console serves the web console, which is built from web/ into dist and is part of the program. What it shows
// it asks of the API, in the name of whoever looks.
package console

import (
	"bytes"
	"crypto/rand"
	"embed"
	"io/fs"
	"net/http"
	"path"
	"strings"
)

//go:embed all:dist
var built embed.FS

// The places of the API and of what watches the server; everything else is the console's.
var others = []string{"/api/", "/openapi.json", "/healthz", "/readyz"}

// Front gives people the console and programs the API, at one address. Every answer, of pages, files, the API and of
// what is refused, tells browsers that nothing of it may be framed, guessed the type of, run, kept or read by other
// origins; pages and files say what they may more.
func Front(api http.Handler) http.Handler {
	pages := Handler()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		guard(w.Header())
		if takes(r) {
			pages.ServeHTTP(w, r)
			return
		}
		api.ServeHTTP(w, r)
	})
}

func guard(head http.Header) {
	head.Set("X-Content-Type-Options", "nosniff")
	head.Set("X-Frame-Options", "DENY")
	head.Set("Content-Security-Policy", "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
	head.Set("Referrer-Policy", "same-origin")
	head.Set("Cross-Origin-Opener-Policy", "same-origin")
	head.Set("Cross-Origin-Resource-Policy", "same-origin")
	head.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()")
	head.Set("Cache-Control", "no-store")
}

// takes says whether a request is one that Handler answers rather than the API: a read of no place of the API's.
func takes(r *http.Request) bool {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return false
	}
	if strings.HasPrefix(r.URL.Path, "/signin/") {
		return false // the way to identity providers and back; the page /signin is the console's
	}
	for _, place := range others {
		if r.URL.Path == strings.TrimSuffix(place, "/") || strings.HasSuffix(place, "/") && strings.HasPrefix(r.URL.Path, place) {
			return false
		}
	}
	return true
}

// Handler serves the console: its files, and its one page at every other address, since pages are told apart in the
// browser. The page may load and run nothing but those files (Content-Security-Policy). A program that was built without
// its console says so, with status 404.
func Handler() http.Handler {
	files, err := fs.Sub(built, "dist")
	if err != nil {
		panic("console.Handler: " + err.Error())
	}
	return handlerOf(files)
}

// The strings of the built page that stand for the nonce of one answer.
const nonceMark = "@nonce@"

func handlerOf(files fs.FS) http.Handler {
	page, err := fs.ReadFile(files, "index.html")
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := strings.TrimPrefix(path.Clean(r.URL.Path), "/")
		switch {
		case err != nil:
			http.Error(w, "This weir was built without its console; make build builds it with, and the command weir does all that it does.", http.StatusNotFound)
		case name != "index.html" && isFile(files, name):
			serveFile(w, r, files, name)
		case strings.HasPrefix(name, "assets/"):
			http.Error(w, "There is no such file; the console was upgraded: load the page again.", http.StatusNotFound)
		default:
			servePage(w, r, page)
		}
	})
}

func isFile(files fs.FS, name string) bool {
	info, err := fs.Stat(files, name)
	return err == nil && info.Mode().IsRegular() && !strings.HasPrefix(path.Base(name), ".")
}

// serveFile sends a file, compressed where it lies there so and the browser takes that. The names of assets have the
// hash of their content in them, so they are kept for good.
func serveFile(w http.ResponseWriter, r *http.Request, files fs.FS, name string) {
	head := w.Header()
	head.Set("Cache-Control", "no-cache")
	if strings.HasPrefix(name, "assets/") {
		head.Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	if isFile(files, name+".gz") {
		head.Set("Vary", "Accept-Encoding")
		if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
			head.Set("Content-Encoding", "gzip")
			head.Set("Content-Type", typeOf(name))
			http.ServeFileFS(w, r, files, name+".gz")
			return
		}
	}
	head.Set("Content-Type", typeOf(name))
	http.ServeFileFS(w, r, files, name)
}

// typeOf does not ask the machine, whose table of types may be any.
func typeOf(name string) string {
	switch path.Ext(name) {
	case ".js":
		return "text/javascript; charset=utf-8"
	case ".css":
		return "text/css; charset=utf-8"
	case ".svg":
		return "image/svg+xml"
	}
	return "application/octet-stream"
}

func servePage(w http.ResponseWriter, r *http.Request, page []byte) {
	nonce := rand.Text()
	head := w.Header()
	head.Set("Content-Type", "text/html; charset=utf-8")
	head.Set("Content-Security-Policy", policy(nonce))
	if r.Method == http.MethodHead {
		return
	}
	_, _ = w.Write(bytes.ReplaceAll(page, []byte(nonceMark), []byte(nonce)))
}

// policy allows the page its own files and the API, and no inline style but those of libraries that are told the nonce.
func policy(nonce string) string {
	return strings.Join([]string{
		"default-src 'none'", "script-src 'self'", "style-src 'self' 'nonce-" + nonce + "'", "img-src 'self' data:", "font-src 'self'",
		"connect-src 'self'", "form-action 'self'", "base-uri 'none'", "frame-ancestors 'none'", "require-trusted-types-for 'script'", "trusted-types svelte-trusted-html",
	}, "; ")
}
