// One request by Go's net/http; the error goes to standard output. The environment is that of client.py.
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"syscall"
	"time"
)

func main() {
	log.SetFlags(log.LstdFlags)
	log.SetOutput(os.Stdout)
	seconds, _ := strconv.ParseFloat(os.Getenv("TIMEOUT"), 64)
	timeout := time.Duration(seconds * float64(time.Second))
	pem, err := os.ReadFile(os.Getenv("CA"))
	if err != nil {
		panic(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.TLSClientConfig = &tls.Config{RootCAs: roots}
	transport.Proxy = nil
	if proxy := os.Getenv("PROXY"); proxy != "" {
		at, _ := url.Parse(proxy)
		transport.Proxy = http.ProxyURL(at)
	}
	client := &http.Client{Transport: transport, Timeout: timeout}
	shape := os.Getenv("SHAPE")
	ctx := context.Background()
	if shape == "repr" { // by a context's deadline instead of the client's
		client.Timeout = 0
		with, cancel := context.WithTimeout(ctx, timeout)
		defer cancel()
		ctx = with
	}
	ask := func() error {
		request, err := http.NewRequestWithContext(ctx, "GET", os.Getenv("URL"), nil)
		if err != nil {
			return err
		}
		answer, err := client.Do(request)
		if err != nil {
			return err
		}
		defer answer.Body.Close()
		if _, err = io.ReadAll(answer.Body); err != nil {
			return err
		}
		if answer.StatusCode >= 400 {
			return fmt.Errorf("unexpected status: %s", answer.Status)
		}
		return nil
	}
	if os.Getenv("WARM") != "" {
		_ = ask()
	}
	if os.Getenv("DESCRIPTORS") != "" {
		limit := syscall.Rlimit{Cur: 64, Max: 64}
		_ = syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit)
		for {
			if _, err := syscall.Open("/dev/null", syscall.O_RDONLY, 0); err != nil {
				break
			}
		}
	}
	if err := ask(); err != nil {
		if shape == "trace" {
			log.Printf("request failed: %v", err)
		} else {
			fmt.Println(err)
		}
	}
}
