package weir

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// EgressSnippet is a program that makes one call, whole, so that it runs as it stands.
type EgressSnippet struct {
	// Language is one of EgressLanguages.
	Language string `json:"language"`
	Text     string `json:"text"`
}

// EgressLanguages are those that there are snippets in.
var EgressLanguages = []string{"curl", "java", "python", "go"}

// egressAttempts is how often HAProxy makes a call that the level lets be made again.
const egressAttempts = 4

// EgressSnippets gives one in each language that asks for a URL by a method. Programs wait a second longer than load
// balancers do at the level, so that what these answer says what was wrong; nil is a level with the defaults.
func EgressSnippets(url, method string, level *SLA) []EgressSnippet {
	if level == nil {
		level = &SLA{}
		level.Normalize()
	}
	wait := time.Duration(level.Connect) + time.Duration(level.Server)
	if level.Retries != nil {
		wait *= egressAttempts
	}
	seconds := int((wait+time.Second-1)/time.Second) + 1
	drop, keep := "+", "-"
	if slices.Contains([]string{"POST", "PUT", "PATCH"}, method) {
		drop, keep = keep, drop
	}
	how := ""
	switch {
	case method == "HEAD":
		how = " --head"
	case method != "GET":
		how = " --request " + method
	}
	with := strings.NewReplacer("{url}", url, "{method}", method, "{seconds}", strconv.Itoa(seconds), "{how}", how)
	list := make([]EgressSnippet, len(EgressLanguages))
	for i, language := range EgressLanguages {
		var text strings.Builder
		for line := range strings.Lines(egressPrograms[language]) {
			if !strings.HasPrefix(line, drop) {
				text.WriteString(strings.TrimPrefix(line, keep))
			}
		}
		list[i] = EgressSnippet{language, with.Replace(text.String())}
	}
	return list
}

// egressPrograms are the texts by language. Lines that begin with + are for methods with a body, with - for those without.
var egressPrograms = map[string]string{
	"curl": `-curl --fail-with-body{how} '{url}'
+curl --fail-with-body{how} --header 'Content-Type: application/json' --data '{}' '{url}'
`,
	"java": `import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.time.Duration;

public class Call {
    public static void main(String[] args) throws Exception {
        HttpRequest request = HttpRequest.newBuilder(URI.create("{url}"))
                // A second longer than the load balancer waits, so that its answer says what was wrong.
                .timeout(Duration.ofSeconds({seconds}))
-                .method("{method}", HttpRequest.BodyPublishers.noBody())
+                .header("Content-Type", "application/json")
+                .method("{method}", HttpRequest.BodyPublishers.ofString("{}"))
                .build();
        HttpResponse<String> response = HttpClient.newHttpClient().send(request, HttpResponse.BodyHandlers.ofString());
        if (response.statusCode() >= 400) {
            throw new IOException(response.statusCode() + ": " + response.body());
        }
        System.out.print(response.body());
    }
}
`,
	"python": `import sys
import urllib.error
import urllib.request

request = urllib.request.Request(
    "{url}",
    method="{method}",
+    data=b"{}",
+    headers={"Content-Type": "application/json"},
)
try:
    # A second longer than the load balancer waits, so that its answer says what was wrong.
    with urllib.request.urlopen(request, timeout={seconds}) as response:
        sys.stdout.buffer.write(response.read())
except urllib.error.HTTPError as refused:
    sys.exit(f"{refused.code}: {refused.read().decode(errors='replace')}")
`,
	"go": `package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
+	"strings"
	"time"
)

func main() {
	// A second longer than the load balancer waits, so that its answer says what was wrong.
	client := http.Client{Transport: &http.Transport{ResponseHeaderTimeout: {seconds} * time.Second}}
-	request, err := http.NewRequest("{method}", "{url}", nil)
+	request, err := http.NewRequest("{method}", "{url}", strings.NewReader("{}"))
	if err != nil {
		panic(err)
	}
+	request.Header.Set("Content-Type", "application/json")
	response, err := client.Do(request)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	defer response.Body.Close()
	if response.StatusCode >= 400 {
		fmt.Fprint(os.Stderr, response.Status, ": ")
		_, _ = io.Copy(os.Stderr, response.Body)
		os.Exit(1)
	}
	_, _ = io.Copy(os.Stdout, response.Body)
}
`,
}
