<?php
// One request by PHP (LIBRARY curl or streams); the error goes to standard output. The environment is that of client.py.
$timeout = (float) (getenv('TIMEOUT') ?: 1);
if ($argv[1] === 'curl') {
    $curl = curl_init(getenv('URL'));
    curl_setopt_array($curl, [CURLOPT_RETURNTRANSFER => true, CURLOPT_CAINFO => getenv('CA'), CURLOPT_TIMEOUT_MS => (int) ($timeout * 1000),
        CURLOPT_FAILONERROR => true, CURLOPT_FOLLOWLOCATION => true, CURLOPT_MAXREDIRS => 20, CURLOPT_ENCODING => '']);
    if (getenv('PROXY')) curl_setopt($curl, CURLOPT_PROXY, getenv('PROXY'));
    if (curl_exec($curl) === false) echo 'cURL error ' . curl_errno($curl) . ': ' . curl_error($curl), "\n";
} else {
    ini_set('display_errors', 'stdout');
    ini_set('html_errors', '0');
    $http = ['timeout' => $timeout];
    if (getenv('PROXY')) $http += ['proxy' => str_replace('http://', 'tcp://', getenv('PROXY')), 'request_fulluri' => true];
    file_get_contents(getenv('URL'), false, stream_context_create(['http' => $http, 'ssl' => ['cafile' => getenv('CA')]]));
}
