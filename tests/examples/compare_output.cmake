# Run PROGRAM: it must end with 0 and print exactly what is in the file EXPECTED.
# SPDX-License-Identifier: MIT
execute_process(COMMAND ${PROGRAM} RESULT_VARIABLE result OUTPUT_VARIABLE output ERROR_VARIABLE errors TIMEOUT 50)
file(READ ${EXPECTED} expected)
if(NOT result EQUAL 0 OR NOT output STREQUAL expected)
    message(FATAL_ERROR "${PROGRAM} ended with ${result}, printed\n${output}\ninstead of\n${expected}\n${errors}")
endif()
