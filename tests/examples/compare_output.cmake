# Run PROGRAM, with ARGUMENT if there is one: it must end with 0 and print exactly what is in the file EXPECTED; when that
# is named *.unordered, its lines in any order, with "#" for process numbers and times.
# SPDX-License-Identifier: MIT
execute_process(COMMAND ${PROGRAM} ${ARGUMENT} RESULT_VARIABLE result OUTPUT_VARIABLE output ERROR_VARIABLE errors TIMEOUT 50)
file(READ ${EXPECTED} expected)

function(sort_lines name)
    string(REGEX REPLACE "\n" ";" lines "${${name}}")
    list(SORT lines)
    set(${name} "${lines}" PARENT_SCOPE)
endfunction()

if(EXPECTED MATCHES "unordered$")
    string(REGEX REPLACE "\\([0-9]+\\)" "(#)" output "${output}")
    string(REGEX REPLACE "process [0-9]+" "process #" output "${output}")
    string(REGEX REPLACE "[0-9]+\\.[0-9]+ seconds" "# seconds" output "${output}")
    sort_lines(output)
    sort_lines(expected)
endif()
if(NOT result EQUAL 0 OR NOT output STREQUAL expected)
    message(FATAL_ERROR "${PROGRAM} ended with ${result}, printed\n${output}\ninstead of\n${expected}\n${errors}")
endif()
