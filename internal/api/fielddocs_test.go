package api

import (
	"bytes"
	"encoding/json"
	"flag"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write fielddocs.json anew out of the source")

// TestFieldDocs holds the comments in the OpenAPI document against the source.
func TestFieldDocs(t *testing.T) {
	docs := map[string]string{}
	for _, dir := range []string{"../..", "../inventory", "../registrar", "."} {
		files, err := filepath.Glob(filepath.Join(dir, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments)
			if err != nil {
				t.Fatal(err)
			}
			ast.Inspect(parsed, func(n ast.Node) bool {
				if decl, ok := n.(*ast.GenDecl); ok && decl.Tok == token.TYPE {
					typeDocs(docs, parsed.Name.Name, decl)
				}
				return true
			})
		}
	}
	var want bytes.Buffer
	encoder := json.NewEncoder(&want)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", " ")
	if err := encoder.Encode(docs); err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile("fielddocs.json", want.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if !bytes.Equal(want.Bytes(), fieldDocs) {
		t.Error("fielddocs.json is not what the comments say now; run: go test ./internal/api -run TestFieldDocs -update")
	}
}

func typeDocs(docs map[string]string, pkg string, decl *ast.GenDecl) {
	for _, spec := range decl.Specs {
		ts := spec.(*ast.TypeSpec)
		fields, ok := ts.Type.(*ast.StructType)
		if !ok || !ts.Name.IsExported() {
			continue
		}
		name := pkg + "." + ts.Name.Name
		doc := ts.Doc
		if doc == nil && len(decl.Specs) == 1 {
			doc = decl.Doc
		}
		put(docs, name, doc)
		for _, f := range fields.Fields.List {
			doc := f.Doc
			if doc == nil {
				doc = f.Comment
			}
			for _, n := range f.Names {
				if n.IsExported() && f.Tag != nil {
					put(docs, name+"."+n.Name, doc)
				}
			}
		}
	}
}

func put(docs map[string]string, name string, doc *ast.CommentGroup) {
	if text := strings.Join(strings.Fields(doc.Text()), " "); text != "" {
		docs[name] = text
	}
}
