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

// Files that stand for the certificate that an application shows, and for its key, where programs are shown.
const (
	EgressCertificateFile = "client.pem"
	EgressKeyFile         = "client-key.pem"
	EgressStoreFile       = "client.p12" // of both, for Java
)

// EgressSnippets gives one in each language that asks for a URL by a method. Programs wait a second longer than load
// balancers do at the level, so that what these answer says what was wrong; nil is a level with the defaults. Where there is
// a subject they show a certificate of it, out of files that stand for the application's own.
func EgressSnippets(url, method, subject string, level *SLA) []EgressSnippet {
	if level == nil {
		level = &SLA{}
		level.Normalize()
	}
	wait := time.Duration(level.Connect) + time.Duration(level.Server)
	if level.Retries != nil {
		wait *= egressAttempts
	}
	seconds := int((wait+time.Second-1)/time.Second) + 1
	body := slices.Contains([]string{"POST", "PUT", "PATCH"}, method)
	wanted := map[byte]bool{'+': body, '-': !body, '*': subject != "", '!': subject == ""}
	how := ""
	switch {
	case method == "HEAD":
		how = " --head"
	case method != "GET":
		how = " --request " + method
	}
	with := strings.NewReplacer("{url}", url, "{method}", method, "{seconds}", strconv.Itoa(seconds), "{how}", how,
		"{subject}", subject, "{cert}", EgressCertificateFile, "{key}", EgressKeyFile, "{store}", EgressStoreFile)
	list := make([]EgressSnippet, len(EgressLanguages))
	for i, language := range EgressLanguages {
		var text strings.Builder
		for line := range strings.Lines(egressPrograms[language]) {
			want, marked := wanted[line[0]]
			for marked && want {
				line = line[1:]
				want, marked = wanted[line[0]]
			}
			if !marked {
				text.WriteString(line)
			}
		}
		list[i] = EgressSnippet{language, with.Replace(text.String())}
	}
	return list
}

// egressPrograms are the texts by language. Lines that begin with + are for methods with a body, with - for those without,
// with * for applications that show a certificate, with ! for those that don't.
var egressPrograms = map[string]string{
	"curl": `*# {cert} and {key} stand for your files with the certificate of {subject} and its key.
-!curl --fail-with-body{how} '{url}'
-*curl --fail-with-body{how} --cert {cert} --key {key} '{url}'
+*curl --fail-with-body{how} --cert {cert} --key {key} --header 'Content-Type: application/json' --data '{}' '{url}'
+!curl --fail-with-body{how} --header 'Content-Type: application/json' --data '{}' '{url}'
`,
	"java": `*import java.io.File;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
*import java.security.KeyStore;
import java.time.Duration;
*import javax.net.ssl.KeyManagerFactory;
*import javax.net.ssl.SSLContext;

public class Call {
    public static void main(String[] args) throws Exception {
        HttpRequest request = HttpRequest.newBuilder(URI.create("{url}"))
                // A second longer than the load balancer waits, so that its answer says what was wrong.
                .timeout(Duration.ofSeconds({seconds}))
-                .method("{method}", HttpRequest.BodyPublishers.noBody())
+                .header("Content-Type", "application/json")
+                .method("{method}", HttpRequest.BodyPublishers.ofString("{}"))
                .build();
*        // {store} stands for your file with the certificate of {subject} and its key, made of PEM files by
*        // openssl pkcs12 -export -in {cert} -inkey {key} -out {store}
*        char[] password = "changeit".toCharArray();
*        KeyManagerFactory keys = KeyManagerFactory.getInstance(KeyManagerFactory.getDefaultAlgorithm());
*        keys.init(KeyStore.getInstance(new File("{store}"), password), password);
*        SSLContext tls = SSLContext.getInstance("TLS");
*        tls.init(keys.getKeyManagers(), null, null);
*        HttpClient client = HttpClient.newBuilder().sslContext(tls).build();
!        HttpClient client = HttpClient.newHttpClient();
        HttpResponse<String> response = client.send(request, HttpResponse.BodyHandlers.ofString());
        if (response.statusCode() >= 400) {
            throw new IOException(response.statusCode() + ": " + response.body());
        }
        System.out.print(response.body());
    }
}
`,
	"python": `*import ssl
import sys
import urllib.error
import urllib.request

*# {cert} and {key} stand for your files with the certificate of {subject} and its key.
*context = ssl.create_default_context()
*context.load_cert_chain("{cert}", "{key}")
request = urllib.request.Request(
    "{url}",
    method="{method}",
+    data=b"{}",
+    headers={"Content-Type": "application/json"},
)
try:
    # A second longer than the load balancer waits, so that its answer says what was wrong.
!    with urllib.request.urlopen(request, timeout={seconds}) as response:
*    with urllib.request.urlopen(request, timeout={seconds}, context=context) as response:
        sys.stdout.buffer.write(response.read())
except urllib.error.HTTPError as refused:
    sys.exit(f"{refused.code}: {refused.read().decode(errors='replace')}")
`,
	"go": `package main

import (
*	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"os"
+	"strings"
	"time"
)

func main() {
*	// {cert} and {key} stand for your files with the certificate of {subject} and its key.
*	certificate, err := tls.LoadX509KeyPair("{cert}", "{key}")
*	if err != nil {
*		panic(err)
*	}
	// A second longer than the load balancer waits, so that its answer says what was wrong.
!	client := http.Client{Transport: &http.Transport{ResponseHeaderTimeout: {seconds} * time.Second}}
*	client := http.Client{Transport: &http.Transport{
*		ResponseHeaderTimeout: {seconds} * time.Second,
*		TLSClientConfig:       &tls.Config{Certificates: []tls.Certificate{certificate}},
*	}}
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
